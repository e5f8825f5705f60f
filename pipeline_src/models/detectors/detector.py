"""The contract of detectors (kind `detector`): what one declares for planning, and how it is called."""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from torch import nn

from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import DetectorOptions, check_levels, frozen_parts
from pipeline_src.models.fusion.merge_place import MergePlace


class Detector:
    """A network of torchvision's calling convention on the levels of a feature pyramid.

    A subclass is a component, and an `nn.Module` too: it declares `Options`, a dataclass that extends
    `DetectorOptions`, and what follows from them, which planning asks without importing torch. Built as
    `Detector(pyramid, num_classes, **options)`; `num_classes` counts the background, class 0.

    Called with normalised images `(3, H_i, W_i)` and, in training, targets with `boxes` `(n, 4)` (x1, y1, x2,
    y2 in pixels) and `labels` `(n,)` of 1 to `num_classes` - 1. In training it gives the losses by name, in
    evaluation `boxes`, `labels` and `scores` of each image, best first.
    """

    Options: ClassVar[type[DetectorOptions]]

    backbone: PyramidWithFPN

    @staticmethod
    def needed_levels(options: Any) -> list[int]:
        """Levels of the pyramid that the detector of these options reads, from fine to coarse."""
        return list(options.levels)

    @staticmethod
    def merge_places(options: Any) -> list[MergePlace]:
        """Where it merges two maps, from the finest place to the coarsest: the FPN's top-down path."""
        return [MergePlace(options.fpn_channels, 0) for _ in options.levels[1:]]

    def set_merges(self, merges: nn.ModuleList) -> None:
        """Take `merges[i]` in place of the plain sum at the i-th of `merge_places`."""
        self.backbone.fpn.merges = merges

    @staticmethod
    def check(options: Any, available: Collection[int], freezable: Sequence[Sequence[str]]) -> None:
        """Refuse options that a pyramid of `available` levels cannot carry (`InputError` naming the option).

        `freezable` are the parts of the backbone that can be frozen.
        """
        check_levels(options.levels, available)
        frozen_parts(freezable, options.frozen_stages)
