"""Detections and ground truth of a split: what is taken, merged, written and refused."""

import json

import numpy as np
import pytest
import torch

from pipeline_src.evaluation.coco_ap import coco_scores
from pipeline_src.evaluation.detection_results import results_text
from pipeline_src.evaluation.detections import Detections, GroundTruth
from pipeline_src.evaluation.voc_ap import voc_scores
from tests.evaluation.made_up_boxes import collected, made_up_split

CLASSES = 4
CATEGORIES = [3, 7, 18, 90]


def shares(items, world):
    return [items[rank::world] for rank in range(world)]


@pytest.mark.parametrize("ids", [range(12), [f"2007_{n:06d}" for n in range(12)]])
def test_ranks_that_share_a_split_agree_with_one(ids):
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
    assert list(results_text(detections, CATEGORIES)) == list(results_text(alone[0], CATEGORIES))


def test_a_file_says_what_was_added():
    _, found = made_up_split(1, classes=CLASSES)
    detections = Detections(1 + CLASSES)
    for image_id, one in reversed(found):
        detections.add(image_id, one)
    records = json.loads("".join(results_text(detections, CATEGORIES)))
    assert len(records) == len(detections) == sum(len(one["labels"]) for _, one in found)
    order = [(record["image_id"], -record["score"]) for record in records]
    assert order == sorted(order)
    for image_id, one in found:
        own = [record for record in records if record["image_id"] == image_id]
        if not len(one["labels"]):
            assert not own
            continue
        falling = torch.sort(one["scores"], descending=True, stable=True).indices.numpy()
        written = np.array([record["bbox"] for record in own])
        labels = [1 + CATEGORIES.index(record["category_id"]) for record in own]
        scores = np.array([record["score"] for record in own])
        part = detections[image_id]
        for bbox, score, label in ((part.bbox, part.score, part.label), (written, scores, labels)):
            corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1)
            assert np.abs(corners - one["boxes"].numpy()[falling]).max() <= 1.01e-3
            assert np.abs(score - one["scores"].numpy()[falling]).max() <= 1e-7
            assert (np.asarray(label) == one["labels"].numpy()[falling]).all()


def test_no_detections_are_an_empty_list():
    detections = Detections(3)
    detections.add("empty", {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0)})
    assert "".join(results_text(detections, [1, 2])) == "[]\n"


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
