"""Scores of masks against the command of cityscapesscripts and pycocotools, and the extremes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pipeline_src.data.instances.instance_ids import objects_of
from pipeline_src.data.instances.outlines import pack, pack_mask, unpack
from pipeline_src.evaluation.cityscapes_ap import cityscapes_scores
from pipeline_src.evaluation.cityscapes_instance_submission import instance_files
from pipeline_src.evaluation.coco_ap import COCO_METRICS, coco_scores
from pipeline_src.evaluation.detection_results import results_text
from pipeline_src.evaluation.detections import Detections, GroundTruth

LABEL_IDS = (24, 25, 26, 27, 28, 31, 32, 33)
LABELS = {label_id: label for label, label_id in enumerate(LABEL_IDS, start=1)}
SIZE = (60, 40)
# NumPy 2.4 has no `in1d`, and counts in integers of its own, which the command cannot write as JSON
COMMAND = """
import numpy
numpy.in1d, counted = numpy.isin, numpy.count_nonzero
numpy.count_nonzero = lambda mask: int(counted(mask))
from cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling import args, main
args.gtInstancesFile = "gt.json"
main()
"""


def random_ids(rng):
    """Instance ids of a picture with void, stuff, groups, caravans, and objects small and large."""
    ids = np.full(SIZE[::-1], 7)
    ids[:4] = 0
    numbers = dict.fromkeys((*LABEL_IDS[:4], 29), 0)
    for _ in range(9):
        label = int(rng.choice(list(numbers)))
        x, y = rng.integers(0, SIZE[0] - 12), rng.integers(0, SIZE[1] - 12)
        width, height = rng.integers(4, 24, 2)
        group = rng.random() < 0.2
        ids[y : y + height, x : x + width] = label if group else label * 1000 + numbers[label]
        numbers[label] += not group
    return ids


def made_up(seed, images=6):
    """Masks of instance ids by image, and detections that are shifted objects and noise."""
    rng = np.random.default_rng(seed)
    truth, found = {}, Detections(1 + len(LABEL_IDS))
    for number in range(images):
        name = f"town_{number:06d}_000019"
        truth[name] = random_ids(rng)
        objects, outlines = objects_of(truth[name], LABELS)
        masks = [(item.label, unpack(one, SIZE)) for item, one in zip(objects, outlines, strict=True)]
        masks += [(int(rng.integers(1, 5)), mask) for _, mask in masks[:2]]
        masks.append((2, np.zeros(SIZE[::-1], np.uint8)))
        shifted = [(label, np.roll(mask, rng.integers(-2, 3, 2), (0, 1))) for label, mask in masks]
        boxes = rng.random((len(shifted), 2)) * 10
        found.add(
            name,
            {
                "boxes": np.concatenate([boxes, boxes + 5], axis=1),
                "scores": rng.random(len(shifted)).round(2),
                "labels": [label for label, _ in shifted],
                "outlines": [pack_mask(mask > 0) for _, mask in shifted],
            },
        )
    return truth, found


def write_truth(truth, folder):
    files = {}
    for name, ids in truth.items():
        files[name] = folder / "gtFine/val/town" / f"{name}_gtFine_instanceIds.png"
        files[name].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ids.astype(np.uint16)).save(files[name])
    return files


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cityscapes_ap_equals_its_own_command(seed, tmp_path):
    truth, found = made_up(seed)
    files = write_truth(truth, tmp_path)
    results = tmp_path / "results"
    for name, content in instance_files(found, dict.fromkeys(truth, SIZE[::-1]), LABEL_IDS):
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    env = {**os.environ, "CITYSCAPES_DATASET": str(tmp_path), "CITYSCAPES_RESULTS": str(results)}
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    saved = tmp_path / "evaluationResults/resultInstanceLevelSemanticLabeling.json"
    expected = json.loads(saved.read_text())["averages"]
    scores = cityscapes_scores(found, files, LABEL_IDS)
    assert 0 < scores["ap"] < scores["ap50"] < 100
    assert scores["ap"] / 100 == pytest.approx(expected["allAp"], abs=1e-12)
    assert scores["ap50"] / 100 == pytest.approx(expected["allAp50%"], abs=1e-12)
    names = ["person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"]
    for place, name in enumerate(names):
        theirs, ours = expected["classes"][name]["ap"], scores["per_class"]["ap"][place]
        assert (ours is None) == bool(np.isnan(theirs))
        assert ours is None or ours / 100 == pytest.approx(theirs, abs=1e-12)


def of_truth(truth, exact):
    """Detections that are exactly the objects (without groups), or none."""
    found = Detections(1 + len(LABEL_IDS))
    there = GroundTruth(1 + len(LABEL_IDS))
    for name, ids in truth.items():
        objects, outlines = objects_of(ids, LABELS)
        told_apart = [place for place, item in enumerate(objects) if exact and not item.crowd]
        boxes = np.array([item.box for item in objects]).reshape(-1, 4)
        labels = [item.label for item in objects]
        there.add(
            name,
            {
                "boxes": boxes,
                "labels": labels,
                "area": [item.area for item in objects],
                "iscrowd": [item.crowd for item in objects],
                "outlines": outlines,
                "size": SIZE[::-1],
            },
        )
        found.add(
            name,
            {
                "boxes": boxes[told_apart],
                "scores": np.full(len(told_apart), 0.9),
                "labels": [labels[place] for place in told_apart],
                "outlines": [outlines[place] for place in told_apart],
            },
        )
    return found, there


@pytest.mark.parametrize(("exact", "score"), [(True, 100.0), (False, 0.0)])
def test_perfect_masks_score_100_and_none_0_on_both_protocols(exact, score, tmp_path):
    truth, _ = made_up(7)
    found, there = of_truth(truth, exact)
    by_coco = coco_scores(found, there, "segm")
    by_cityscapes = cityscapes_scores(found, write_truth(truth, tmp_path), LABEL_IDS)
    for scores in (by_coco, by_cityscapes):
        assert scores["ap"] == pytest.approx(score) and scores["ap50"] == pytest.approx(score)


@pytest.mark.parametrize("seed", [0, 1])
def test_scores_of_masks_equal_pycocotools_on_written_files(seed, tmp_path):
    truth, found = made_up(seed)
    _, there = of_truth(truth, True)
    names = list(truth)
    images = [{"id": name, "width": SIZE[0], "height": SIZE[1]} for name in names]
    annotations = []
    for name in names:
        for label, area, crowd, one in zip(
            there[name].label, there[name].area, there[name].crowd, there[name].outline, strict=True
        ):
            runs = {"size": [SIZE[1], SIZE[0]], "counts": one.decode()}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": name,
                    "category_id": int(label),
                    "area": float(area),
                    "iscrowd": int(crowd),
                    "segmentation": runs,
                    "bbox": coco_mask.toBbox(runs).tolist(),
                }
            )
    # as a submission writes them: the server takes areas from what stands there
    results = json.loads(
        "".join(results_text(found, list(LABELS.values()), dict.fromkeys(names, SIZE[::-1])))
    )
    categories = [{"id": label, "name": str(label)} for label in LABELS.values()]
    file = tmp_path / "truth.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    coco = COCO(file)
    evaluation = COCOeval(coco, coco.loadRes(results), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    scores = coco_scores(found, there, "segm")
    ours = [-1 if scores[name] is None else scores[name] / 100 for name in COCO_METRICS]
    assert ours == pytest.approx(evaluation.stats.tolist(), abs=1e-12)


def test_the_official_fake_masks_get_the_published_numbers(real_data):
    folder = real_data / "eval_fixtures/cocoapi_val2014_100"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: COCO's official detections, see github.com/cocodataset/cocoapi")
    instances = json.loads((folder / "instances_val2014_100.json").read_text())
    categories = [category["id"] for category in instances["categories"]]
    truth, results = GroundTruth(1 + len(categories)), Detections(1 + len(categories))
    sizes = {image["id"]: (image["width"], image["height"]) for image in instances["images"]}
    for key, size in sizes.items():
        objects = [one for one in instances["annotations"] if one["image_id"] == key]
        corners = np.array([one["bbox"] for one in objects], dtype=float).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        truth.add(
            key,
            {
                "boxes": corners,
                "labels": [1 + categories.index(one["category_id"]) for one in objects],
                "area": [one["area"] for one in objects],
                "iscrowd": [one["iscrowd"] for one in objects],
                "outlines": [pack(one["segmentation"], size) for one in objects],
                "size": size[::-1],
            },
        )
    records = json.loads((folder / "instances_val2014_fakesegm100_results.json").read_text())
    for key in {record["image_id"] for record in records}:
        found = [record for record in records if record["image_id"] == key]
        results.add_rows(
            key,
            np.zeros((len(found), 4)),
            np.array([record["score"] for record in found]),
            [1 + categories.index(record["category_id"]) for record in found],
            [record["segmentation"]["counts"].encode() for record in found],
        )
    published = json.loads((folder / "expected.json").read_text())["segm"]
    scores = coco_scores(results, truth, "segm")
    assert scores["ap"] / 100 == pytest.approx(0.319545, abs=1e-6)
    assert [scores[name] / 100 for name in COCO_METRICS] == pytest.approx(list(published.values()), abs=1e-9)
