"""What the costs of detectors that draw masks are measured on."""

import math

import torch

from pipeline_src.tasks.instances.costs import ellipses


def test_an_ellipse_has_the_pixels_whose_centres_it_holds():
    boxes = torch.tensor([[2.0, 3.0, 12.0, 9.0], [0.0, 0.0, 40.0, 30.0], [5.5, 1.25, 11.5, 20.75]])
    masks = ellipses(boxes, (30, 40))
    assert masks.shape == (3, 30, 40) and masks.dtype == torch.uint8
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.tolist(), strict=True):
        for row in range(30):
            for column in range(40):
                across = (2 * (column + 0.5) - x1 - x2) / (x2 - x1)
                down = (2 * (row + 0.5) - y1 - y2) / (y2 - y1)
                assert int(mask[row, column]) == (math.hypot(across, down) <= 1), (row, column)
    # symmetric in a box whose borders are those of pixels, both ways
    inside = masks[0, 3:9, 2:12]
    assert torch.equal(inside, inside.flip(0)) and torch.equal(inside, inside.flip(1))
    assert inside.sum() == masks[0].sum()
