"""What the loss of a segmentation network is told. No torch."""

from dataclasses import dataclass
from typing import Literal

from pipeline_src.options import NonNegativeFloat, option

AUXILIARY_WEIGHT = 0.4
"""Weight of an auxiliary head's loss in the recipes of PSPNet and of MMSegmentation."""


@dataclass(frozen=True)
class Loss:
    """Per-pixel cross-entropy."""

    reduction: Literal["labelled_pixels", "all_pixels", "sum"] = option(
        "labelled_pixels",
        "Mean over labelled pixels, mean over all pixels (as MMSegmentation), or the sum.",
    )
    auxiliary_weight: NonNegativeFloat = option(
        AUXILIARY_WEIGHT, "Weight of the auxiliary head's loss; of no effect without one."
    )
