"""Objects fitted to their image."""

import itertools

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from pipeline_src.data.check_file import CheckedFile
from pipeline_src.data.detection.check_record import CheckedBoxes
from pipeline_src.data.detection.objects import fit_to_image
from pipeline_src.data.detection.records import AnnotatedObject, DetectionRecord
from pipeline_src.tasks.detection.manifest import BoxSummary


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_float32_are_clipped_without_a_warning():
    far = AnnotatedObject(1, (2.0, 3.0, 1e39, 1e300))
    near = AnnotatedObject(1, (-1e39, 0.0, 5.0, 6.0), area=1e39)
    objects, clipped, skipped = fit_to_image([far, near], (40, 30))
    assert objects.boxes.tolist() == [[2, 3, 40, 30], [0, 0, 5, 6]]
    assert (clipped, skipped) == (2, 0)
    assert objects.areas[0] == 38 * 27 and np.isfinite(objects.areas).all()


def test_a_stated_area_stays_whatever_the_box_is_and_no_area_of_its_own_drops_a_box():
    """Masks may be smaller than a pixel: COCO states areas near 0, and 0, for boxes that have an extent."""
    rng = np.random.default_rng(3)
    stated = [0.0, None, 7.25, 0.0, 1e4, None]
    low = rng.uniform(0, 20, (len(stated), 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 9, low.shape)], axis=1).astype(np.float32)
    annotated = [
        AnnotatedObject(1, tuple(map(float, box)), area) for box, area in zip(boxes, stated, strict=True)
    ]
    objects, clipped, skipped = fit_to_image(annotated, (40, 33))
    assert (len(objects), clipped, skipped) == (len(stated), 0, 0)
    sides = boxes[:, 2:] - boxes[:, :2]
    expected = [w * h if area is None else area for area, (w, h) in zip(stated, sides.tolist(), strict=True)]
    np.testing.assert_allclose(objects.areas, expected, rtol=1e-6)


def test_every_object_has_one_size_and_medium_is_what_coco_calls_so():
    _, small, medium, large = Params("bbox").areaRng
    assert small[1] == medium[0] and medium[1] == large[0]
    areas = [medium[0] - 1, *medium, medium[1] + 1]
    objects, _, _ = fit_to_image([AnnotatedObject(1, (0, 0, 200, 200), area) for area in areas], (300, 300))
    found = CheckedBoxes(CheckedFile("a.png", size=(300, 300)), CheckedFile("a.xml"), objects=objects)
    summary = BoxSummary("val", 2)
    summary.add(DetectionRecord("a", "a.png", "a.xml"), found)
    counts = summary.facts()
    assert (counts["small"], counts["medium"], counts["large"]) == (1, 2, 1)


@pytest.mark.parametrize(
    ("records", "rest"), [(1, ""), (9, ""), (10, ""), (11, " and 1 more"), (25, " and 15 more")]
)
def test_a_warning_names_ten_records_and_counts_the_others(records, rest):
    summary = BoxSummary("val", 2)
    for number in range(records):
        found = CheckedBoxes(CheckedFile("a.png"), CheckedFile("a.xml"), clipped=2 if number else 3)
        summary.add(DetectionRecord(f"r{number}", "a.png", "a.xml"), found)
    (warning,) = summary.warnings()
    assert warning.startswith(f"val: {2 * records + 1} boxes reach outside their image and were clipped")
    named = ", ".join(f"r{number}" for number in range(min(records, 10)))
    assert warning.endswith(f"in {records} records: {named}{rest}")


def test_a_box_is_clipped_or_skipped_or_neither():
    """Counted one by one, in whole pixels."""
    width, height = 7, 5
    corners = list(itertools.product((-2, 0, 3, 7, 9), (-1, 0, 4, 5, 6), repeat=2))
    boxes = [box for box in corners if box[0] <= box[2] and box[1] <= box[3]]
    expected = {"clipped": 0, "skipped": 0}
    for x1, y1, x2, y2 in boxes:
        pixels = [(x, y) for x in range(x1, x2) for y in range(y1, y2)]
        inside = [(x, y) for x, y in pixels if 0 <= x < width and 0 <= y < height]
        if not inside:
            expected["skipped"] += 1
        elif len(inside) < len(pixels):
            expected["clipped"] += 1
    objects, clipped, skipped = fit_to_image([AnnotatedObject(1, box) for box in boxes], (width, height))
    assert {"clipped": clipped, "skipped": skipped} == expected
    assert len(objects) == len(boxes) - skipped and clipped and skipped
