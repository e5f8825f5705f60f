"""The one place where feature maps of several sizes are upsampled and concatenated (or summed).

Every concatenation of the project goes through `FusedConcat`, so that a scale equalizer can sit on
any of them and one calibrator can measure all of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline_src.models.blocks import ConvBNReLU, resize_bilinear

Consumer = tuple[nn.Conv2d, int]
"""A convolution that reads a concatenation linearly, and the first of its input channels that does."""


class FusedConcat(nn.Module):
    """Upsample branches `(N, channels[i], H_i, W_i)` bilinearly to one size, equalise, concatenate.

    `names[i]` is the branch's readable name (its number by default). `subjects` are the branches whose
    scale a calibrator measures and an equalizer may correct: all by default. `equalizers[i]` is applied
    to the upsampled branch `i` and is the identity until something replaces it.

    `consumers` are the convolutions that read the concatenation, `units[i]` is the convolution-BN-ReLU
    that ends branch `i` if nothing else reads its output; both are set by `connect`, since an equalizer
    may be folded into the former, or take over the normalisation of the latter.

    Called as `concat(branches)` or `concat(branches, size)`, so a forward pre-hook sees each branch
    before upsampling and gets its target from `target_size(branches, size)`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        names: Sequence[str] | None = None,
        subjects: Sequence[int] | None = None,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.names = tuple(str(index) for index in range(len(channels))) if names is None else tuple(names)
        self.subjects = tuple(range(len(channels))) if subjects is None else tuple(subjects)
        self.align_corners = align_corners
        self.equalizers = nn.ModuleList(nn.Identity() for _ in channels)
        # in lists, so that they are not registered a second time as this module's own
        self.consumers: list[Consumer] = []
        self.units: list[ConvBNReLU | None] = [None for _ in channels]
        if len(self.names) != len(self.channels) or not set(self.subjects) <= set(range(len(self.channels))):
            raise ValueError(
                f"names {self.names} and subjects {self.subjects} do not fit {len(self.channels)} branches"
            )

    def connect(
        self, consumers: Sequence[Consumer], units: Sequence[ConvBNReLU | None] | None = None
    ) -> "FusedConcat":
        """Say what reads the concatenation and what ends its branches; returns itself."""
        self.consumers = [*self.consumers, *consumers]
        if units is not None:
            if len(units) != len(self.channels):
                raise ValueError(f"{len(units)} units for {len(self.channels)} branches")
            self.units = list(units)
        return self

    @property
    def out_channels(self) -> int:
        """Channels of the concatenation."""
        return sum(self.channels)

    def target_size(self, branches: Sequence[Tensor], size: tuple[int, int] | None = None) -> tuple[int, int]:
        """The common size `(H, W)`: `size` if given, else the largest branch's."""
        if size is not None:
            return size
        return max(branch.shape[-2] for branch in branches), max(branch.shape[-1] for branch in branches)

    def forward(self, branches: Sequence[Tensor], size: tuple[int, int] | None = None) -> Tensor:
        """Concatenation `(N, out_channels, H, W)` of the branches at `size`, or at the largest branch's."""
        return torch.cat(self.align(branches, size), dim=1)

    def align(self, branches: Sequence[Tensor], size: tuple[int, int] | None = None) -> list[Tensor]:
        """The branches `(N, channels[i], H, W)`, upsampled to one size and equalised."""
        if tuple(branch.shape[1] for branch in branches) != self.channels:
            raise ValueError(
                f"branches of {[b.shape[1] for b in branches]} channels, built for {self.channels}"
            )
        size = self.target_size(branches, size)
        return [
            equalizer(resize_bilinear(branch, size, self.align_corners))
            for branch, equalizer in zip(branches, self.equalizers, strict=True)
        ]


class FusedSum(FusedConcat):
    """The same with a sum `(N, channels[0], H, W)` in place of the concatenation; channels must be equal."""

    @property
    def out_channels(self) -> int:
        """Channels of the sum."""
        return self.channels[0]

    def forward(self, branches: Sequence[Tensor], size: tuple[int, int] | None = None) -> Tensor:
        """Sum of the branches at `size`, or at the largest branch's."""
        return torch.stack(self.align(branches, size)).sum(dim=0)
