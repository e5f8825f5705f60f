"""Masks of detections: from a grid over every box to outlines in the original image."""

from collections.abc import Mapping
from typing import Any

from torchvision.models.detection.roi_heads import paste_masks_in_image

from pipeline_src.data.instances.outlines import pack_mask
from pipeline_src.evaluation.detect_multi_scale import Found

THRESHOLD = 0.5
"""Pixels with at least this probability belong to an object, as in MMDetection."""


def outlined(found: Found, size: tuple[int, int]) -> Mapping[str, Any]:
    """`found` with packed `outlines` in place of `masks` `(n, 1, M, M)`; `size` is height and width.

    Boxes are in pixels of the image of `size`. One mask at a time is in memory at that size.
    """
    outlines = []
    for mask, box in zip(found["masks"], found["boxes"], strict=True):
        pasted = paste_masks_in_image(mask[None].float(), box[None].float(), size)[0, 0]
        outlines.append(pack_mask((pasted >= THRESHOLD).numpy()))
    return {**{key: value for key, value in found.items() if key != "masks"}, "outlines": outlines}
