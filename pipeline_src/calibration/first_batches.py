"""The training batches that a run begins with, for what is measured before its first step."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline_src.calibration.start_params import StartRecipe, StartRun
from pipeline_src.data.loader import training_loader
from pipeline_src.data.segmentation.dataset import SegmentationDataset
from pipeline_src.data.segmentation.transforms import TrainTransform
from pipeline_src.errors import InputError
from pipeline_src.training.distributed import Ranks


@dataclass(frozen=True)
class FirstBatches:
    """The first `count` batches of a run's first epoch, of `batch` images each over all ranks."""

    dataset: SegmentationDataset
    seed: int
    batch: int
    count: int
    ranks: Ranks
    workers: int | None = None
    """Processes that load images; None: four with CUDA, else none."""

    @classmethod
    def of(cls, run: StartRun, manifest: str, ranks: Ranks, workers: int | None = None) -> "FirstBatches":
        """Those of a run on the data of a manifest: training transforms, training batch.

        They hold as many images as its equalizer wants to see. Raises `InputError` as `batches_of` does.
        """
        transform = TrainTransform.of(run.recipe.augment, run.mean, run.std)
        dataset = SegmentationDataset(manifest, "train", transform)
        batch, count = batches_of(run.recipe, len(dataset), run.equalizer["images"])
        return cls(dataset, run.seed, batch, count, ranks, workers)

    def load(self, first: int = 0, count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """This rank's `(images (n, 3, H, W), masks (n, H, W))` of the batches from `first` up to `count`."""
        on_gpu = self.ranks.device.type == "cuda"
        return training_loader(
            self.dataset,
            seed=self.seed,
            batch=self.batch,
            rank=self.ranks.rank,
            world=self.ranks.world,
            start_step=first,
            total_steps=self.count if count is None else min(count, self.count),
            workers=(4 if on_gpu else 0) if self.workers is None else self.workers,
            pin_memory=on_gpu,
        )

    def images(self, first: int = 0) -> Iterator[torch.Tensor]:
        """The images alone."""
        return (images for images, _ in self.load(first))


def batches_of(recipe: StartRecipe, samples: int, images: int | None) -> tuple[int, int]:
    """Images of a batch (the training's, or its micro-batch) and number of batches of a pass.

    Raises `InputError` for a batch of one image and for fewer images than one batch.
    """
    batch = recipe.batch // recipe.accumulate
    if batch < 2:
        raise InputError(
            f"recipe.batch: {recipe.batch} in {recipe.accumulate} micro-batches leaves one image a "
            "batch; calibration needs at least 2, since a branch pooled to 1x1 has no spread within one image"
        )
    wanted = samples if images is None else min(images, samples)
    if wanted < batch:
        raise InputError(
            f"recipe.batch: a batch of {batch} is more than the {wanted} images to calibrate on; use a "
            "smaller batch or more images"
        )
    return batch, wanted // batch
