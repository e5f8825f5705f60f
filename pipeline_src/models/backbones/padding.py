"""Padding of a map before a down-sampling that does not pad itself (decision 0008)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_to_patches(x: Tensor, side: int) -> Tensor:
    """`x` `(N, C, H, W)` with zeros on the right and bottom up to a whole number of patches of `side` pixels.

    This is "corner" padding in MMSegmentation. With it every family gives ceil(size / stride) pixels.
    """
    bottom, right = -x.shape[-2] % side, -x.shape[-1] % side
    # an exported program is for many sizes, and may not branch on whether one fits
    return F.pad(x, (0, right, 0, bottom)) if torch.compiler.is_exporting() or bottom or right else x
