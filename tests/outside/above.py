"""A pyramid of a user's own: every level gets a compressed copy of the level above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from widths import WIDTH

from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.blocks import ConvBNReLU
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.models.pyramid import WrappingPyramid
from pipeline_src.models.pyramid_place import PyramidPlace
from pipeline_src.options import PositiveInt, checked, option


@dataclass(frozen=True)
class AboveOptions:
    """Every level with a compressed copy of the level above it."""

    channels: PositiveInt = option(WIDTH, "Channels of the copy.")
    copies: bool = option(True, "false: none, and the pyramid adds nothing.")


class Above(WrappingPyramid):
    """A backbone whose levels but the last carry a copy of the level above."""

    Options = AboveOptions
    backbone: StagedBackbone

    def __init__(self, backbone: Any, *, out_levels: Sequence[int] | None = None, **options: Any) -> None:
        super().__init__(backbone)
        width = checked(AboveOptions, **options).channels
        self.backbone = backbone
        self.levels, self.strides = list(backbone.levels), list(backbone.strides)
        self.channels = list(backbone.channels)
        self.compress, self.concats = nn.ModuleDict(), nn.ModuleDict()
        for index, level in enumerate(self.levels[:-1]):
            self.compress[str(level)] = ConvBNReLU(backbone.channels[index + 1], width, 1)
            self.concats[str(level)] = FusedConcat([backbone.channels[index], width])
            self.channels[index] += width

    @staticmethod
    def resolve(options: AboveOptions, place: PyramidPlace) -> dict[str, Any] | None:
        """None without copies."""
        return vars(options) if options.copies else None

    @staticmethod
    def concatenations(options: AboveOptions, read: Sequence[int]) -> list[Concatenation]:
        """One at every level but the last."""
        return [Concatenation(f"concats.{level}", 0) for level in sorted(read)[:-1]]

    def concatenation_at(self, level: int) -> FusedConcat | None:
        """The concatenation that makes the map of `level`."""
        return dict(self.concats.items()).get(str(level))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps of all levels."""
        maps = self.backbone(images)
        found = []
        for level, here, above in zip(self.levels, maps, maps[1:], strict=False):
            size = (here.shape[-2], here.shape[-1])
            found.append(self.concats[str(level)]([here, self.compress[str(level)](above)], size))
        return [*found, maps[-1]]
