"""What step `probe` is told, and what it takes from a recipe. No torch."""

from dataclasses import dataclass

from pipeline_src.calibration.start_params import StartRecipe, StartRun
from pipeline_src.training.loss_options import Loss


@dataclass(frozen=True, kw_only=True)
class ProbeRecipe(StartRecipe):
    """The first batches, and the loss whose gradients are looked at."""

    loss: Loss


@dataclass(frozen=True, kw_only=True)
class ProbeRun(StartRun):
    """Step `probe`: on how many batches it looks."""

    recipe: ProbeRecipe
    batches: int
