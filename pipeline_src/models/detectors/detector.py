"""The contract of detectors (kind `detector`): what one declares for planning, and how it is called."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import DetectorOptions, check_levels, frozen_parts
from pipeline_src.models.fusion.merge_place import MergePlace
from pipeline_src.models.pyramid_place import Levels

Work = dict[str, list[tuple[nn.Module, Any]]]
"""Modules with what each is called with, by the part of the detector that they belong to."""


class Detector(ABC):
    """A network of torchvision's calling convention on the levels of a feature pyramid.

    A subclass is a component, and an `nn.Module` too: it declares `Options`, a dataclass that extends
    `DetectorOptions`, and what follows from them, which planning asks without importing torch. Built as
    `Detector(pyramid, num_classes, **options)`; `num_classes` counts the background, class 0.

    Called with normalised images `(3, H_i, W_i)` and, in training, targets with `boxes` `(n, 4)` (x1, y1, x2,
    y2 in pixels) and `labels` `(n,)` of 1 to `num_classes` - 1. In training it gives the losses by name, in
    evaluation `boxes`, `labels` and `scores` of each image, best first.
    """

    Options: ClassVar[type[DetectorOptions]]

    task: ClassVar[str] = "detection"
    """What it learns: the name of a folder in `tasks`."""

    backbone: PyramidWithFPN

    @staticmethod
    def needed_levels(options: Any) -> Levels:
        """Levels of the pyramid that the detector of these options reads, from fine to coarse."""
        return list(options.levels)

    @staticmethod
    def merge_places(options: Any) -> list[MergePlace]:
        """Where it merges two maps, from the finest place to the coarsest: the FPN's top-down path."""
        return [MergePlace(options.fpn_channels, 0) for _ in options.levels[1:]]

    def set_merges(self, merges: nn.ModuleList) -> None:
        """Take `merges[i]` in place of the plain sum at the i-th of `merge_places`."""
        self.backbone.fpn.merges = merges

    @abstractmethod
    def heads(self) -> list[nn.Module]:
        """The modules whose outputs become boxes and scores: one that is not finite has diverged.

        What follows them may compare with thresholds, and so take a NaN for nothing found.
        """

    @abstractmethod
    def work(self, maps: list[Tensor], proposals: int) -> Work:
        """What runs behind the FPN for its `maps` `(1, C, H_i, W_i)`, by the name of its attribute.

        With `proposals` regions where there are such; the detector's FLOPs are counted from it.
        """

    @staticmethod
    def check(options: Any, available: Collection[int], freezable: Sequence[Sequence[str]]) -> None:
        """Refuse options that a pyramid of `available` levels cannot carry (`InputError` naming the option).

        `freezable` are the parts of the backbone that can be frozen.
        """
        check_levels(options.levels, available)
        frozen_parts(freezable, options.frozen_stages)


class RegionDetector(Detector):
    """A detector of torchvision's parts `rpn` and `roi_heads`."""

    rpn: Any
    roi_heads: Any

    def stages(self) -> list[Any]:
        """Those of the second stage, each with `box_roi_pool`, `box_head` and `box_predictor`."""
        return [self.roi_heads]

    def heads(self) -> list[nn.Module]:
        """That of the proposals, and the predictor of every stage."""
        return [self.rpn.head, *(stage.box_predictor for stage in self.stages())]

    def work(self, maps: list[Tensor], proposals: int) -> Work:
        """The proposals' head on every map, and every stage on the regions."""
        regions: list[tuple[nn.Module, Any]] = [
            (
                nn.Sequential(stage.box_head, stage.box_predictor),
                maps[0].new_empty(proposals, maps[0].shape[1], *stage.box_roi_pool.output_size),
            )
            for stage in self.stages()
        ]
        return {"rpn": [(self.rpn.head, maps)], "roi_heads": regions}
