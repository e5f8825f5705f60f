"""Training batches of a detector: images of one orientation together, so that little of a batch is padding.

As in `data/loader.py`, the batch of a step is a function of (seed, step), so that a restart, more
loader workers or more ranks change nothing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pipeline_src.data.detection.dataset import Target
from pipeline_src.data.loader import StepSampler, epoch_order, load_batches
from pipeline_src.training.seeding import derive


def grouped_order(seed: int, epoch: int, groups: NDArray[np.bool_], batch: int) -> NDArray[np.int64]:
    """The order of an epoch's samples, `(length,)` int64, whose batches hold one group where possible.

    Both groups are shuffled and cut into batches, and what each leaves over is joined: at most one
    batch of an epoch is mixed, and there are as many as without groups. The batches are shuffled, too; a
    short one stays last. Every sample occurs once.
    """
    order = epoch_order(seed, epoch, len(groups))
    parts = [order[groups[order]], order[~groups[order]]]
    whole = [part[: len(part) // batch * batch].reshape(-1, batch) for part in parts]
    rest = np.concatenate([part[len(part) // batch * batch :] for part in parts])
    full = len(rest) // batch * batch
    batches = np.concatenate([*whole, rest[:full].reshape(-1, batch)])
    rng = np.random.Generator(np.random.PCG64(derive(seed, "batches", epoch)))
    return np.concatenate([rng.permutation(batches).ravel(), rest[full:]])


class GroupedStepSampler(StepSampler):
    """A `StepSampler` whose global batches hold samples of one group of `groups`, `(length,)` bool."""

    def __init__(self, groups: NDArray[np.bool_], **options: Any) -> None:
        super().__init__(len(groups), **options)
        self.groups = groups

    def order(self, epoch: int) -> np.ndarray:
        """The samples of an epoch, see `grouped_order`."""
        return grouped_order(self.seed, epoch, self.groups, self.batch)


def detection_loader(
    dataset: Dataset[Any],
    *,
    seed: int,
    batch: int,
    rank: int = 0,
    world: int = 1,
    start_step: int = 0,
    total_steps: int,
    workers: int = 0,
    drop_last: bool = True,
    pin_memory: bool = False,
    landscape: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[list[Tensor], list[Target]]]:
    """This rank's `(images, targets)` of steps `start_step` to `total_steps` - 1, lists of equal length.

    Images are float32 `(3, h, w)`, targets as `data/detection/dataset.py` has them. `batch` is the global
    batch, whose images agree in `landscape`, `(len(dataset),)`; without it the order is that of the
    segmentation loader.

    Raises `InputError` as `StepSampler` does (at once), or for a file that can no longer be read.
    """
    options: dict[str, Any] = {
        "seed": seed,
        "batch": batch,
        "rank": rank,
        "world": world,
        "start_step": start_step,
        "total_steps": total_steps,
        "drop_last": drop_last,
    }
    sampler = (
        StepSampler(len(dataset), **options)  # type: ignore[arg-type]
        if landscape is None
        else GroupedStepSampler(landscape, **options)
    )
    return load_batches(dataset, sampler, collate, seed=seed, workers=workers, pin_memory=pin_memory)


def collate(samples: list[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    """Lists of images and targets: sizes differ, and the detector pads."""
    images, targets = zip(*samples)
    return list(images), list(targets)
