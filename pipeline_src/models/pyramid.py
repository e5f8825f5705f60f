"""The one interface of the models: images in, a list of feature maps out.

A backbone is a feature pyramid, a fusion method wraps one and is one, a decoder or a detector
consumes one. So any of them combines with any other.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.models.pyramid_place import BACKBONE_LEVELS, Levels, PyramidPlace
from pipeline_src.options import to_json


class FeaturePyramid(nn.Module, ABC):
    """Maps images `(N, 3, H, W)` to feature maps `(N, channels[i], H_i, W_i)`, from fine to coarse.

    `levels[i]` is the field's number of the map (C1 to C5): level `l` has the nominal stride `2**l`.
    `strides[i]` is the real one, which is smaller where a stage is dilated; `H_i = ceil(H / strides[i])`.
    """

    levels: list[int]
    channels: list[int]
    strides: list[int]

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of `images` `(N, 3, H, W)`, one per entry of `levels`."""

    def wrapped(self) -> "FeaturePyramid | None":
        """The pyramid that this one is built on; None for a backbone."""
        return None

    def innermost(self) -> "FeaturePyramid":
        """The backbone at the bottom of this pyramid, which may be itself."""
        inner = self.wrapped()
        return self if inner is None else inner.innermost()

    def concatenation_at(self, level: int) -> FusedConcat | None:
        """The concatenation whose output is the map of `level`, so that the heads read it; None without."""
        return None


class WrappingPyramid(FeaturePyramid):
    """The contract of a component of kind `pyramid`: a feature pyramid around another one.

    It declares `Options`, a frozen dataclass of `pipeline_src.options`, and what follows from them, which
    planning asks without importing torch. Built as `Pyramid(backbone, out_levels=levels, **options)`, where
    `backbone` gives the `backbone_levels` of these levels.
    """

    Options: ClassVar[type]

    backbone: FeaturePyramid

    @abstractmethod
    def __init__(self, backbone: Any, *, out_levels: Sequence[int] | None = None, **options: Any) -> None:
        """Wrap `backbone` to give `out_levels` (None: all); `options` are the fields of `Options`."""
        super().__init__()

    @staticmethod
    def available_levels(options: Any) -> Levels:
        """Levels that a pyramid of these options can give; the backbone's unless it says otherwise."""
        return list(BACKBONE_LEVELS)

    @staticmethod
    def backbone_levels(options: Any, out_levels: Sequence[int]) -> Levels:
        """Levels that the backbone has to give so that the pyramid gives `out_levels`; these by default."""
        return sorted(out_levels)

    @staticmethod
    def resolve(options: Any, place: PyramidPlace) -> dict[str, Any] | None:
        """The options as a job is told of them; None for a pyramid that adds nothing to its backbone.

        What has no effect takes its default, so that trainings that are the same are one. Raises
        `InputError`, whose message begins with the option's name, for what cannot be built there.
        """
        resolved: dict[str, Any] = to_json(options)
        return resolved

    @staticmethod
    def reduction(options: Any) -> float:
        """By how much its smallest map may be smaller, per side, than the backbone's last one."""
        return 1.0

    @staticmethod
    def concatenations(options: Any, read: Sequence[int]) -> list[Concatenation]:
        """Its concatenations by their place in the pyramid, in the order of a forward pass; nesting below 1.

        `read` are the levels that the heads read.
        """
        return []

    def wrapped(self) -> FeaturePyramid:
        """The backbone."""
        return self.backbone
