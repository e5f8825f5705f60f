"""What step `probe` takes from a recipe. No torch."""

from dataclasses import dataclass

from pipeline_src.calibration.start_recipe import StartRecipe
from pipeline_src.training.loss_options import Loss


@dataclass(frozen=True, kw_only=True)
class ProbeRecipe(StartRecipe):
    """The first batches, and the loss whose gradients are looked at."""

    loss: Loss
