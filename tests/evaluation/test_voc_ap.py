"""VOC's average precision: against a literal reading of the development kit, and against pycocotools."""

import contextlib
import io
from fractions import Fraction

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pipeline_src.errors import InputError
from pipeline_src.evaluation.detections import Detections, GroundTruth
from pipeline_src.evaluation.voc_ap import area_ap, eleven_point_ap, voc_scores
from tests.evaluation.made_up_boxes import collected, made_up_split

CLASSES = 4


def overlap(a, b, extra):
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + extra) * (box[3] - box[1] + extra) for box in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def literal_ap(truth, found, label, extra, iou=0.5):
    """(11 points, area) of one class, one detection after the other; None without objects."""
    pool = [
        (float(one["scores"][row]), number, row)
        for number, (_, one) in enumerate(found)
        for row in range(len(one["labels"]))
        if one["labels"][row] == label
    ]
    pool.sort(key=lambda entry: -entry[0])
    objects, taken = 0, set()
    for _, target in truth:
        mine = target["labels"] == label
        objects += int((mine & ~(target["difficult"] | target["iscrowd"].bool())).sum())
    if not objects:
        return None
    right = wrong = 0
    curve = []
    for _, number, row in pool:
        target = truth[number][1]
        box = found[number][1]["boxes"][row].tolist()
        best, choice = 0.0, None
        for candidate, other in enumerate(target["boxes"].tolist()):
            if target["labels"][candidate] == label and overlap(box, other, extra) > best:
                best, choice = overlap(box, other, extra), candidate
        if choice is not None and best >= iou:
            if target["difficult"][choice] or target["iscrowd"][choice]:
                continue
            if (number, choice) in taken:
                wrong += 1
            else:
                taken.add((number, choice))
                right += 1
        else:
            wrong += 1
        curve.append((Fraction(right, objects), Fraction(right, right + wrong)))
    eleven = sum(
        max((precision for recall, precision in curve if recall >= Fraction(point, 10)), default=Fraction())
        for point in range(11)
    ) / Fraction(11)
    area, before = Fraction(), Fraction()
    for place, (recall, _) in enumerate(curve):
        area += (recall - before) * max(precision for _, precision in curve[place:])
        before = recall
    return float(eleven), float(area)


@pytest.mark.parametrize("plus_one", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_scores_equal_a_literal_reading_of_the_definition(seed, plus_one):
    levels = 9 if seed % 2 else None  # every other time with scores that tie
    truth, found = made_up_split(
        seed, images=25, classes=CLASSES, difficult=True, crowds=seed > 3, levels=levels
    )
    if seed % 3 == 0:  # the last class without an object that has to be found
        for _, target in truth:
            target["difficult"] |= target["labels"] == CLASSES
    if levels:  # ties inside an image are in the order of the model, which the literal reading shares
        for _, one in found:
            order = torch.sort(one["scores"], descending=True, stable=True).indices
            for key in one:
                one[key] = one[key][order]
    scores = voc_scores(*collected(truth, found, CLASSES), plus_one=plus_one)
    expected = [literal_ap(truth, found, label, float(plus_one)) for label in range(1, CLASSES + 1)]
    for place, name in enumerate(("map_11_points", "map_area")):
        for ours, theirs in zip(scores["per_class"][name], expected, strict=True):
            assert ours == (None if theirs is None else pytest.approx(100 * theirs[place], abs=1e-9))
        defined = [pair[place] for pair in expected if pair is not None]
        assert scores[name] == pytest.approx(100 * np.mean(defined), abs=1e-9)
    assert scores["classes_without_truth"] == [n for n, pair in enumerate(expected, 1) if pair is None]
    assert scores["classes_without_truth"] == ([CLASSES] if seed % 3 == 0 else [])


@pytest.mark.parametrize("seed", range(4))
def test_eleven_points_equal_pycocotools_where_both_protocols_agree(seed):
    """Objects apart from one another, none difficult, IoU 0.5, recall thresholds 0, 0.1, ..., 1."""
    rng = np.random.default_rng(seed)
    truth, found, annotations, results = [], [], [], []
    for image_id in range(8):
        cells = rng.permutation(16)[: rng.integers(1, 10)]
        corner = 100.0 * np.stack([cells % 4, cells // 4], axis=1)
        boxes = np.concatenate([corner + 10, corner + 10 + rng.integers(20, 60, (len(cells), 2))], axis=1)
        again = np.repeat(boxes, rng.integers(0, 4, len(boxes)), axis=0)
        again = again + rng.integers(-9, 10, again.shape)
        scores = rng.permutation(len(again)) / 100 + rng.random(len(again)) / 200
        truth.append((image_id, {"boxes": boxes, "labels": np.ones(len(boxes))}))
        found.append((image_id, {"boxes": again, "scores": scores, "labels": np.ones(len(again))}))
        for x1, y1, x2, y2 in boxes.tolist():
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, **box})
        for (x1, y1, x2, y2), score in zip(again.tolist(), scores.tolist(), strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": round(score, 7)}
            results.append({"image_id": image_id, "category_id": 1, **box})
    with contextlib.redirect_stdout(io.StringIO()):
        there = COCO()
        there.dataset = {
            "images": [{"id": image_id} for image_id, _ in truth],
            "annotations": annotations,
            "categories": [{"id": 1}],
        }
        there.createIndex()
        theirs = COCOeval(there, there.loadRes(results), "bbox")
        theirs.params.iouThrs = np.array([0.5])
        objects = len(annotations)
        # the smallest recalls that reach 0, 0.1, ..., 1, as pycocotools computes them
        theirs.params.recThrs = np.array([-(-point * objects // 10) / objects for point in range(11)])
        theirs.evaluate()
        theirs.accumulate()
    ours = voc_scores(*collected(truth, found, 1))["map_11_points"]
    assert ours == pytest.approx(100 * theirs.eval["precision"][0, :, 0, 0, -1].mean(), abs=1e-9)
    assert 10 < ours < 100


def test_a_recall_of_exactly_three_tenths_reaches_the_fourth_point():
    """In binary floating point 3 x 0.1 is more than 3 / 10."""
    right = np.array([True, True, True])
    assert eleven_point_ap(right, 10) == pytest.approx(4 / 11)
    assert area_ap(right, 10) == pytest.approx(0.3)


@pytest.mark.parametrize("plus_one", [False, True])
def test_perfect_detections_score_100_and_duplicates_less(plus_one):
    truth, _ = made_up_split(1, images=20, classes=CLASSES)
    perfect = [
        (name, {"boxes": t["boxes"], "labels": t["labels"], "scores": np.full(len(t["labels"]), 0.5)})
        for name, t in truth
    ]
    scores = voc_scores(*collected(truth, perfect, CLASSES), plus_one=plus_one)
    assert scores["map_11_points"] == scores["map_area"] == 100
    twice = [
        (name, {key: np.concatenate([value, value]) for key, value in one.items()}) for name, one in perfect
    ]
    duplicated = voc_scores(*collected(truth, twice, CLASSES), plus_one=plus_one)
    assert all(value < 100 for value in duplicated["per_class"]["map_area"])


def test_the_plus_one_convention_is_the_plain_one_on_boxes_that_reach_one_pixel_further():
    truth, found = made_up_split(4, images=30, classes=CLASSES, difficult=True)
    plain = voc_scores(*collected(truth, found, CLASSES))
    shifted = torch.tensor([0.0, 0.0, 1.0, 1.0])
    inclusive = [
        [(name, {**one, "boxes": one["boxes"].double() - shifted}) for name, one in part]
        for part in (truth, found)
    ]
    assert voc_scores(*collected(*inclusive, CLASSES), plus_one=True) == plain
    assert voc_scores(*collected(*inclusive, CLASSES)) != plain


def test_an_overlap_of_exactly_the_threshold_is_enough():
    truth, detections = GroundTruth(2), Detections(2)
    truth.add("a", {"boxes": [[0, 0, 10, 10]], "labels": [1]})
    detections.add("a", {"boxes": [[0, 0, 10, 5]], "labels": [1], "scores": [0.3]})
    assert voc_scores(detections, truth)["map_area"] == 100
    assert voc_scores(detections, truth, iou=0.51)["map_area"] == 0


def test_nothing_found_is_0_and_nothing_to_find_is_undefined():
    truth, _ = made_up_split(1, classes=CLASSES)
    scores = voc_scores(Detections(1 + CLASSES), collected(truth, [], CLASSES)[1])
    assert scores["map_11_points"] == scores["map_area"] == 0
    empty = GroundTruth(1 + CLASSES)
    empty.add("a", {"boxes": [], "labels": []})
    scores = voc_scores(Detections(1 + CLASSES), empty)
    assert scores["map_11_points"] is None and scores["classes_without_truth"] == [1, 2, 3, 4]


def test_detections_of_an_unknown_image_are_refused():
    truth, found = made_up_split(1, classes=CLASSES)
    with pytest.raises(InputError, match="the ground truth has no such image"):
        voc_scores(*collected(truth[1:], found, CLASSES))
