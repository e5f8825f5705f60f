"""Objects fitted to their image."""

import numpy as np
import pytest

from pipeline_src.data.detection.objects import fit_to_image
from pipeline_src.data.detection.records import AnnotatedObject


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
