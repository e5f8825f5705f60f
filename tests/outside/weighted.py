"""A detector of a user's own: Faster R-CNN whose box losses have a weight."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline_src.models.detectors.faster_rcnn import FasterRCNN, FasterRCNNOptions
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.options import PositiveFloat, option


@dataclass(frozen=True)
class WeightedOptions(FasterRCNNOptions):
    """Faster R-CNN with weighted box losses."""

    box_weight: PositiveFloat = option(2.0, "Weight of the box losses.")


class WeightedRCNN(FasterRCNN):
    """Faster R-CNN whose box losses count `box_weight` times."""

    Options = WeightedOptions

    def __init__(self, pyramid: FeaturePyramid, num_classes: int, **options: Any) -> None:
        box_weight = options.pop("box_weight", 2.0)
        super().__init__(pyramid, num_classes, **options)
        self.box_weight = box_weight

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """As Faster R-CNN."""
        found = super().forward(images, targets)
        if not self.training:
            return found
        return {name: value * (self.box_weight if "box" in name else 1.0) for name, value in found.items()}
