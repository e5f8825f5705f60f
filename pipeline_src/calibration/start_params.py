"""What jobs of a run before its first step are told, and what they take from its recipe. No torch."""

from dataclasses import dataclass
from typing import Any

from pipeline_src.data.segmentation.transform_options import Augment
from pipeline_src.training.train_params import InitialParameters


@dataclass(frozen=True, kw_only=True)
class StartRecipe:
    """What decides the first batches, and whether batch normalisation is fixed from the start."""

    batch: int
    accumulate: int
    augment: Augment
    freeze_bn_at_epoch: int | None

    @property
    def bn_fixed(self) -> bool:
        """Whether batch normalisation never has a batch's own statistics."""
        return self.freeze_bn_at_epoch == 0


@dataclass(frozen=True, kw_only=True)
class StartRun(InitialParameters):
    """The run's network and data before its first step."""

    recipe: StartRecipe

    @property
    def equalizer(self) -> dict[str, Any]:
        """The model's section of that name."""
        found: dict[str, Any] = self.model["equalizer"]
        return found


@dataclass(frozen=True, kw_only=True)
class CalibrateRun(StartRun):
    """Step `calibrate`."""
