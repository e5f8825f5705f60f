"""VOC's average precision against values that another package's evaluation gave for the same boxes.

`voc_ap_chainercv.json` holds random objects, some difficult, some overlapping another of their class,
and detections, some of them twice or more; its note says which package, and how it was called.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.evaluation.voc_ap import voc_scores
from tests.evaluation.made_up_boxes import collected

CONTENT = json.loads(Path(__file__).with_name("voc_ap_chainercv.json").read_text())
CLASSES = 5


def split_of(case, borders):
    """(truth, found) of a case; its pixels are turned into `borders` as VOC's reader does."""
    shift = [1, 1, 0, 0] if borders else [0, 0, 0, 0]
    truth, found = [], []
    for number, (objects, detections) in enumerate(zip(case["truth"], case["found"], strict=True)):
        there, seen = np.array(objects).reshape(-1, 6), np.array(detections).reshape(-1, 6)
        truth.append(
            (number, {"boxes": there[:, :4] - shift, "labels": there[:, 4], "difficult": there[:, 5]})
        )
        found.append(
            (number, {"boxes": seen[:, :4] - shift, "labels": seen[:, 4], "scores": seen[:, 5] / 10000})
        )
    return truth, found


@pytest.mark.parametrize("borders", [False, True])
@pytest.mark.parametrize("number", range(len(CONTENT["cases"])))
def test_scores_are_those_of_another_implementation(number, borders):
    case = CONTENT["cases"][number]
    truth, found = split_of(case, borders)
    scores = voc_scores(*collected(truth, found, CLASSES), iou=case["iou"], plus_one=not borders)
    for ours, theirs in (("map_11_points", "ap_11_points"), ("map_area", "ap_area")):
        assert scores["per_class"][ours] == pytest.approx([100 * value for value in case[theirs]], abs=1e-6)
        assert scores[ours] == pytest.approx(100 * np.mean(case[theirs]), abs=1e-6)


@pytest.mark.parametrize("number", range(len(CONTENT["cases"])))
def test_difficult_objects_and_duplicates_matter_in_every_case(number):
    case = CONTENT["cases"][number]
    truth, found = split_of(case, borders=True)
    scores = voc_scores(*collected(truth, found, CLASSES), iou=case["iou"])
    for _, target in truth:
        target["difficult"] = np.zeros_like(target["difficult"])
    assert voc_scores(*collected(truth, found, CLASSES), iou=case["iou"])["map_area"] != scores["map_area"]
    ranks = sorted(row[5] for image in case["found"] for row in image)
    assert ranks == list(range(1, len(ranks) + 1))  # no score is there twice
    more = sum(len(detections) for detections in case["found"]) > sum(map(len, case["truth"]))
    assert more and sum(row[5] for image in case["truth"] for row in image) > 10
