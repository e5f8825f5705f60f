"""A feature pyramid under torchvision's FPN, in the form that torchvision's detectors take as backbone."""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from pipeline_src.models.detectors.boxes import full_precision
from pipeline_src.models.detectors.options import check_levels, fpn_strides
from pipeline_src.models.pyramid import FeaturePyramid


class MergingFPN(FeaturePyramidNetwork):
    """torchvision's FPN, whose top-down path may merge two maps by something else than their sum.

    `merges[i]` is for the i-th map, from fine to coarse, and the one above it; None: plain sums.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, extra: ExtraFPNBlock | None) -> None:
        super().__init__(list(in_channels), channels, extra_blocks=extra)
        self.merges: nn.ModuleList | None = None

    def forward(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        """Maps `(N, channels, H_i, W_i)` of `x`, by the same names, and those of the extra levels."""
        if self.merges is None:
            return super().forward(x)
        names, maps = list(x), list(x.values())
        above = self.get_result_from_inner_blocks(maps[-1], -1)
        results = [self.get_result_from_layer_blocks(above, -1)]
        for place in reversed(range(len(maps) - 1)):
            lateral = self.get_result_from_inner_blocks(maps[place], place)
            upsampled = F.interpolate(above, size=lateral.shape[-2:], mode="nearest")
            above = self.merges[place](lateral, upsampled)
            results.insert(0, self.get_result_from_layer_blocks(above, place))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


class PyramidWithFPN(nn.Module):
    """FPN (Lin et al.) of `channels` channels on the maps of `levels` of a feature pyramid.

    `extra` levels above the last: `pool` takes every second pixel of the last map, `p6p7` two
    convolutions of stride 2 (Lin et al., RetinaNet), `none`. `strides` are those of all maps that come out,
    of which the first belong to `levels`. Neighbouring levels may have equal strides.
    Raises `InputError` for levels that the pyramid does not have.
    """

    def __init__(
        self, pyramid: FeaturePyramid, levels: Sequence[int], channels: int = 256, extra: str = "pool"
    ) -> None:
        super().__init__()
        check_levels(levels, pyramid.levels)
        places = [pyramid.levels.index(level) for level in levels]
        self.pyramid = pyramid
        self.levels = list(levels)
        self.fpn = MergingFPN(
            [pyramid.channels[place] for place in places], channels, _extra_block(extra, channels)
        )
        self.out_channels = channels
        self.strides = fpn_strides([pyramid.strides[place] for place in places], extra)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps `(N, channels, H_i, W_i)` of `images` `(N, 3, H, W)`, by level or name of an extra one.

        They are float32 under autocast too, since anchors take their type.
        """
        maps = dict(zip(self.pyramid.levels, self.pyramid(images), strict=True))
        fused = self.fpn(OrderedDict((str(level), maps[level]) for level in self.levels))
        return OrderedDict((name, full_precision(fused[name])) for name in fused)


def _extra_block(extra: str, channels: int) -> ExtraFPNBlock | None:
    if extra == "none":
        return None
    return LastLevelMaxPool() if extra == "pool" else LastLevelP6P7(channels, channels)
