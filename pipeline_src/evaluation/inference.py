"""From an image to its logits: as a whole or window by window, at its own size or resized first.

Images are `(1, 3, H, W)`, normalised; logits are `(1, C, H, W)` of the image's own size whatever
happened in between. An image is resized after its normalisation. MMSegmentation does that before, and
so rounds the resized image to whole levels; as bilinear interpolation commutes with the normalisation,
the difference is at most half a level of 255.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pipeline_src.data.segmentation.transforms import fitted_size
from pipeline_src.errors import InputError
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.segmentation_pass import Inference, whole_image
from pipeline_src.models.blocks import resize_bilinear


def inference_of(evaluation: Evaluation) -> Inference:
    """The inference that an `evaluation` section describes."""
    inference: Inference = whole_image
    if evaluation.window and evaluation.stride:
        inference = sliding(_pair(evaluation.window), _pair(evaluation.stride))
    return resized(inference, _pair(evaluation.resize)) if evaluation.resize else inference


def sliding(window: tuple[int, int], stride: tuple[int, int]) -> Inference:
    """Mean logits of overlapping windows of `window` (height, width), `stride` (down, across) apart.

    The last window of an axis is moved back to the border; an axis shorter than the window is covered
    by one window of its own length. This is MMSegmentation's rule. Raises `InputError` for a stride
    that would leave pixels between two windows.
    """
    if stride[0] > window[0] or stride[1] > window[1]:
        raise InputError(f"evaluation.stride: {list(stride)} is larger than the window {list(window)}")

    def inference(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        total: torch.Tensor | None = None
        counts = images.new_zeros((height, width))
        for top in window_starts(height, window[0], stride[0]):
            for left in window_starts(width, window[1], stride[1]):
                part = (..., slice(top, top + window[0]), slice(left, left + window[1]))
                logits = model(images[part])
                if total is None:
                    total = logits.new_zeros((*logits.shape[:2], height, width))
                total[part] += logits
                counts[part] += 1
        assert total is not None
        return total / counts

    return inference


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """First pixels of the windows that cover an axis, the last one moved back to end with the axis."""
    last = max(0, length - window)
    return [*range(0, last, stride), last]


def resized(inference: Inference, scale: tuple[int, int]) -> Inference:
    """`inference` on images fitted into `scale` (long side, short side) with their aspect kept.

    Images are resized bilinearly without antialias, logits back in the same way.
    """

    def fitted(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        size = (images.shape[-2], images.shape[-1])
        logits = inference(model, resize_bilinear(images, fitted_size(size, scale)))
        return resize_bilinear(logits, size)

    return fitted


def _pair(value: Sequence[int]) -> tuple[int, int]:
    return value[0], value[1]
