"""Detections and ground truth of a split: what is taken, merged, written and refused."""

import json

import numpy as np
import pytest
import torch

from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_ap import coco_scores
from pipeline_src.evaluation.detection_results import read_results, write_results
from pipeline_src.evaluation.detections import Detections, GroundTruth
from pipeline_src.evaluation.voc_ap import voc_scores
from tests.evaluation.made_up_boxes import collected, made_up_split

CLASSES = 4
CATEGORIES = [3, 7, 18, 90]


def shares(items, world):
    return [items[rank::world] for rank in range(world)]


@pytest.mark.parametrize("ids", [range(12), [f"2007_{n:06d}" for n in range(12)]])
def test_ranks_that_share_a_split_agree_with_one(ids, tmp_path):
    truth, found = made_up_split(0, classes=CLASSES, difficult=True, ids=ids, levels=5)
    alone = collected(truth, found, CLASSES)
    parts = [collected(*part, CLASSES) for part in zip(shares(truth, 3), shares(found, 3), strict=True)]
    detections, there = parts[2]
    for other_detections, other_truth in (parts[0], parts[1]):
        detections.merge(other_detections)
        there.merge(other_truth)
    assert detections.images == alone[0].images == list(ids)
    assert coco_scores(detections, there) == coco_scores(*alone)
    assert voc_scores(detections, there) == voc_scores(*alone)
    write_results(tmp_path / "merged.json", detections, CATEGORIES)
    write_results(tmp_path / "alone.json", alone[0], CATEGORIES)
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "alone.json").read_bytes()


def test_a_file_says_what_was_added(tmp_path):
    _, found = made_up_split(1, classes=CLASSES)
    detections = Detections(1 + CLASSES)
    for image_id, one in reversed(found):
        detections.add(image_id, one)
    write_results(tmp_path / "results.json", detections, CATEGORIES)
    records = json.loads((tmp_path / "results.json").read_text())
    assert len(records) == len(detections) == sum(len(one["labels"]) for _, one in found)
    order = [(record["image_id"], -record["score"]) for record in records]
    assert order == sorted(order)
    read = read_results(tmp_path / "results.json", CATEGORIES)
    for image_id, one in found:
        if not len(one["labels"]):
            assert image_id not in read
            continue
        falling = torch.sort(one["scores"], descending=True, stable=True).indices.numpy()
        for part in (detections[image_id], read[image_id]):
            corners = np.concatenate([part.bbox[:, :2], part.bbox[:, :2] + part.bbox[:, 2:]], axis=1)
            assert np.abs(corners - one["boxes"].numpy()[falling]).max() <= 1.01e-3
            assert np.abs(part.score - one["scores"].numpy()[falling]).max() <= 1e-7
            assert (part.label == one["labels"].numpy()[falling]).all()


def test_no_detections_are_an_empty_list(tmp_path):
    detections = Detections(3)
    detections.add("empty", {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0)})
    write_results(tmp_path / "results.json", detections, [1, 2])
    assert (tmp_path / "results.json").read_text() == "[]\n"
    assert len(read_results(tmp_path / "results.json", [1, 2])) == 0


GOOD = {"boxes": [[1.0, 2.0, 3.0, 4.0]], "scores": [0.5], "labels": [1]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": [[1.0, 2.0, float("nan"), 4.0]]}, "image 7: a box is not finite"),
        ({"boxes": [[3.0, 2.0, 1.0, 4.0]]}, r"image 7: box \[3.0, 2.0, 1.0, 4.0\] is inverted"),
        ({"boxes": [[1.0, 2.0, 3.0]]}, r"image 7: boxes have shape \(1, 3\)"),
        ({"scores": [float("inf")]}, "image 7: a score is not finite"),
        ({"scores": [0.5, 0.4]}, "image 7: 1 boxes, 2 scores"),
        ({"labels": [0]}, r"image 7: label 0, the classes are 1\.\.2"),
        ({"labels": [3]}, r"image 7: label 3, the classes are 1\.\.2"),
        ({"labels": []}, "image 7: 1 boxes, 0 labels"),
    ],
)
def test_what_a_sound_model_does_not_return_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Detections(3).add(7, {**GOOD, **change})


def test_an_image_is_taken_once_and_under_a_plain_id():
    detections, other = Detections(3), Detections(3)
    detections.add(7, GOOD)
    other.add(7, GOOD)
    with pytest.raises(ValueError, match="image 7 was added twice"):
        detections.add(7, GOOD)
    with pytest.raises(ValueError, match="image 7 was added twice"):
        detections.merge(other)
    with pytest.raises(ValueError, match="plain number or a name"):
        detections.add(torch.tensor(8), GOOD)
    with pytest.raises(ValueError, match="over different classes"):
        detections.merge(Detections(4))


def test_columns_of_the_ground_truth_belong_to_its_boxes():
    for key in ("area", "iscrowd", "difficult"):
        with pytest.raises(ValueError, match=f"image 7: 1 boxes, {key} has shape"):
            GroundTruth(3).add(7, {**GOOD, key: [1, 0]})


RECORD = {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not valid JSON"),
        ("{}", "holds a dict"),
        (json.dumps([RECORD, 5]), "record 1: has no image_id"),
        (json.dumps([{k: v for k, v in RECORD.items() if k != "score"}]), "record 0: has no score"),
        (json.dumps([{**RECORD, "image_id": 1.5}]), "record 0: image_id is 1.5"),
        (json.dumps([RECORD, {**RECORD, "category_id": 4}]), r"record 1 \(image 7\): category_id 4"),
        (json.dumps([{**RECORD, "bbox": [1, 2, 3]}]), r"record 0 \(image 7\): bbox is \[1, 2, 3\]"),
        (json.dumps([{**RECORD, "bbox": [1, 2, 3, float("nan")]}]), r"record 0 \(image 7\): bbox is"),
        (json.dumps([{**RECORD, "bbox": [1, 2, -3, 4]}]), "negative width or height"),
        (json.dumps([{**RECORD, "score": None}]), "score is None"),
    ],
)
def test_a_results_file_that_cannot_be_used_is_named_with_the_record(text, message, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_results(path, CATEGORIES)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
