"""COCO's numbers: against pycocotools on files, torchmetrics' own implementation, published results."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection._mean_ap import MeanAveragePrecision

from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_ap import COCO_METRICS, PER_CLASS_METRICS, coco_scores
from pipeline_src.evaluation.detection_results import results_text
from pipeline_src.evaluation.detections import Detections, GroundTruth
from tests.evaluation.made_up_boxes import collected, made_up_split

CLASSES = 4
CATEGORIES = [3, 7, 18, 90]


def by_pycocotools(truth, results, tmp_path):
    """The twelve numbers and the evaluation, from files alone."""
    images = [{"id": image_id} for image_id, _ in truth]
    annotations = []
    for image_id, target in truth:
        for row, box in enumerate(target["boxes"].double().numpy()):
            x, y, w, h = np.round([box[0], box[1], box[2] - box[0], box[3] - box[1]], 2).tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CATEGORIES[int(target["labels"][row]) - 1],
                    "bbox": [x, y, w, h],
                    "area": float(target["area"][row]),
                    "iscrowd": int(target["iscrowd"][row]),
                }
            )
    value = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": category} for category in CATEGORIES],
    }
    (tmp_path / "instances.json").write_text(json.dumps(value))
    with contextlib.redirect_stdout(io.StringIO()):
        there = COCO(str(tmp_path / "instances.json"))
        evaluation = COCOeval(there, there.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def as_stats(scores):
    return [-1 if scores[name] is None else scores[name] / 100 for name in COCO_METRICS]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [None, 7])
def test_scores_equal_pycocotools_on_the_written_file(seed, levels, tmp_path):
    truth, found = made_up_split(seed, classes=CLASSES, crowds=True, levels=levels)
    detections, there = collected(truth, found, CLASSES)
    (tmp_path / "results.json").write_text("".join(results_text(detections, CATEGORIES)))
    theirs = by_pycocotools(truth, tmp_path / "results.json", tmp_path)
    ours = coco_scores(detections, there)
    assert as_stats(ours) == pytest.approx(theirs.stats.tolist(), abs=1e-12)
    for number, value in enumerate(ours["per_class"]["ap"]):
        precision = theirs.eval["precision"][:, :, number, 0, -1]
        assert (value is None and precision.max() < 0) or value == pytest.approx(100 * precision.mean())


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_an_implementation_that_is_not_pycocotools(seed):
    truth, found = made_up_split(seed + 10, classes=CLASSES)
    metric = MeanAveragePrecision(box_format="xyxy", class_metrics=True)
    metric.warn_on_many_detections = False
    metric.update([one for _, one in found], [{key: t[key] for key in ("boxes", "labels")} for _, t in truth])
    theirs = metric.compute()
    ours = coco_scores(*collected(truth, found, CLASSES))
    # Not by size: there it lets no detection match an object of another size, which COCO ignores.
    # Its recall is float32, which decides otherwise where a recall equals one of the 101 thresholds.
    for name, their_name, limit in (
        ("ap", "map", 1e-3),
        ("ap50", "map_50", 2e-3),
        ("ap75", "map_75", 2e-3),
        ("ar1", "mar_1", 1e-6),
        ("ar10", "mar_10", 1e-6),
        ("ar100", "mar_100", 1e-6),
    ):
        assert ours[name] / 100 == pytest.approx(float(theirs[their_name]), abs=limit), name
    ours_by_class = [value / 100 for value in ours["per_class"]["ap"]]
    assert ours_by_class == pytest.approx(theirs["map_per_class"].tolist(), abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_means_over_classes_are_the_overall_numbers(seed):
    scores = coco_scores(*collected(*made_up_split(seed, images=40, classes=CLASSES), CLASSES))
    for metric in PER_CLASS_METRICS:
        of_classes = [value for value in scores["per_class"][metric] if value is not None]
        assert of_classes
        assert scores[metric] == pytest.approx(np.mean(of_classes)), metric


def found_exactly(truth):
    return [
        (name, {"boxes": t["boxes"], "labels": t["labels"], "scores": np.full(len(t["labels"]), 0.9)})
        for name, t in truth
    ]


def test_perfect_detections_score_100(capsys):
    truth, _ = made_up_split(2, images=40, classes=CLASSES, ids=[f"image_{n:02d}" for n in range(40)])
    scores = coco_scores(*collected(truth, found_exactly(truth), CLASSES))
    assert scores["unit"] == "percent" and scores["images"] == 40
    for name in COCO_METRICS:
        if name not in ("ar1", "ar10"):
            assert scores[name] == pytest.approx(100), name
    assert capsys.readouterr().out == ""


def test_no_detections_score_0_and_no_objects_nothing():
    truth, _ = made_up_split(0, classes=CLASSES)
    scores = coco_scores(Detections(1 + CLASSES), collected(truth, [], CLASSES)[1])
    assert scores["ap"] == scores["ar100"] == 0 and scores["detections"] == 0
    empty = GroundTruth(1 + CLASSES)
    empty.add("no object", {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)})
    detections = Detections(1 + CLASSES)
    detections.add("no object", {"boxes": torch.ones(1, 4), "labels": [1], "scores": [0.5]})
    scores = coco_scores(detections, empty)
    assert all(scores[name] is None for name in COCO_METRICS)
    assert scores["classes_without_truth"] == [1, 2, 3, 4]


def test_a_class_without_objects_is_left_out_of_the_mean():
    truth, _ = made_up_split(3, classes=CLASSES - 1)
    found = found_exactly(truth)
    found[0][1]["labels"] = torch.full_like(found[0][1]["labels"], CLASSES)  # wrong ones, of that class
    scores = coco_scores(*collected(truth, found, CLASSES))
    per_class = scores["per_class"]["ap"]
    assert per_class[-1] is None and scores["classes_without_truth"] == [CLASSES]
    assert scores["ap"] == pytest.approx(np.mean(per_class[:-1]))


def one_image(boxes, **flags):
    truth = GroundTruth(2)
    truth.add(5, {"boxes": boxes, "labels": [1] * len(boxes), **flags})
    return truth


def detections_of(boxes, scores):
    detections = Detections(2)
    detections.add(5, {"boxes": boxes, "labels": [1] * len(boxes), "scores": scores})
    return detections


def test_a_difficult_object_counts_neither_way_and_excuses_one_detection():
    boxes = [[0, 0, 40, 40], [100, 100, 150, 150]]
    truth = one_image(boxes, difficult=[False, True])
    assert coco_scores(detections_of(boxes[:1], [0.9]), truth)["ap"] == pytest.approx(100)
    assert coco_scores(detections_of(boxes, [0.5, 0.9]), truth)["ap"] == pytest.approx(100)
    twice = detections_of([boxes[1], boxes[1], boxes[0]], [0.9, 0.8, 0.7])
    assert coco_scores(twice, truth)["ap"] == pytest.approx(50)


def test_a_crowd_excuses_every_detection_inside():
    truth = one_image([[0, 0, 40, 40], [100, 100, 300, 300]], iscrowd=[0, 1])
    inside = [[110, 110, 150, 150], [200, 200, 290, 290], [120, 200, 160, 299]]
    found = detections_of([*inside, [0, 0, 40, 40]], [0.9, 0.8, 0.7, 0.6])
    assert coco_scores(found, truth)["ap"] == pytest.approx(100)


def test_the_area_of_an_object_may_be_that_of_its_mask():
    boxes = [[0, 0, 40, 40]]
    assert coco_scores(detections_of(boxes, [0.9]), one_image(boxes))["ap_small"] is None
    small = coco_scores(detections_of(boxes, [0.9]), one_image(boxes, area=[900]))
    assert small["ap_small"] == pytest.approx(100) and small["ap_medium"] is None


def test_detections_of_an_unknown_image_are_refused():
    other = GroundTruth(2)
    other.add(6, {"boxes": [], "labels": []})
    with pytest.raises(InputError, match="image 5 has detections"):
        coco_scores(detections_of([[0, 0, 1, 1]], [0.5]), other)
    with pytest.raises(InputError, match="has no image"):
        coco_scores(Detections(2), GroundTruth(2))


def test_the_official_fake_detections_get_the_published_numbers(real_data):
    folder = real_data / "eval_fixtures/cocoapi_val2014_100"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: COCO's official detections, see github.com/cocodataset/cocoapi")
    instances = json.loads((folder / "instances_val2014_100.json").read_text())
    categories = [category["id"] for category in instances["categories"]]
    truth = GroundTruth(1 + len(categories))
    for image in instances["images"]:
        objects = [one for one in instances["annotations"] if one["image_id"] == image["id"]]
        xywh = torch.tensor([one["bbox"] for one in objects], dtype=torch.float64).reshape(-1, 4)
        target = {
            "boxes": torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1).float(),
            "labels": torch.tensor([1 + categories.index(one["category_id"]) for one in objects]),
            "area": torch.tensor([one["area"] for one in objects]),
            "iscrowd": torch.tensor([one["iscrowd"] for one in objects]),
        }
        truth.add(image["id"], target)
    results = Detections(1 + len(categories))
    records = json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    for image_id in {record["image_id"] for record in records}:
        found = [record for record in records if record["image_id"] == image_id]
        results.add_rows(
            image_id,
            np.array([record["bbox"] for record in found], dtype=np.float64),
            np.array([record["score"] for record in found], dtype=np.float64),
            [1 + categories.index(record["category_id"]) for record in found],
        )
    published = json.loads((folder / "expected.json").read_text())["bbox"]
    scores = coco_scores(results, truth)
    assert [scores[name] / 100 for name in COCO_METRICS] == pytest.approx(list(published.values()), abs=1e-12)
