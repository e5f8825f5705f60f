"""The one interface of the models: images in, a list of feature maps out.

A backbone is a feature pyramid, a fusion method wraps one and is one, a decoder or a detector
consumes one. So any of them combines with any other.
"""

from torch import Tensor, nn


class FeaturePyramid(nn.Module):
    """Maps images `(N, 3, H, W)` to feature maps `(N, channels[i], H_i, W_i)`, from fine to coarse.

    `levels[i]` is the field's number of the map (C1 to C5): level `l` has the nominal stride `2**l`.
    `strides[i]` is the real one, which is smaller where a stage is dilated; `H_i = ceil(H / strides[i])`.
    """

    levels: list[int]
    channels: list[int]
    strides: list[int]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of `images` `(N, 3, H, W)`, one per entry of `levels`."""
        raise NotImplementedError
