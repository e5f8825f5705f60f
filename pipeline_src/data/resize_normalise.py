"""What every task does to the pixels of an image: resize and normalise."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F


def normalise(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`(image / 255 - mean) / std` per channel: an image uint8 `(3, H, W)` as float32."""
    shift, scale = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    return (image.to(torch.float32) / 255 - shift) / scale


def resize_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image uint8 `(3, H, W)` at `size` (height, width): bilinear, no antialias, halves rounded up."""
    # torchvision's uint8 and float32 paths depend in the last bit on the processor and the number of
    # threads, and a loader's workers have fewer. Exact results are multiples of 1 / (4 h w), so that in
    # float64 the small addition decides every tie upwards and cannot decide anything else.
    exact = F.resize(image.to(torch.float64), list(size), InterpolationMode.BILINEAR, antialias=False)
    return (exact + (0.5 + 1e-9)).floor().clamp(0, 255).to(torch.uint8)
