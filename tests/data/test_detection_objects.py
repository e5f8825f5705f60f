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
