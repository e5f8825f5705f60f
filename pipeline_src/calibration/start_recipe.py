"""What jobs of a run before its first step take from its recipe. No torch."""

from dataclasses import dataclass

from pipeline_src.data.segmentation.augment import Augment


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
