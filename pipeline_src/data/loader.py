"""Training batches in an order that is a function of the seed: resumable, and shared between ranks.

An epoch is a permutation from (seed, epoch), cut into global batches; a rank takes its contiguous
share of each. So the batch of a step is known without the steps before it, and neither the number
of loader workers nor a restart can change what a step sees.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from pipeline_src.data.dataset import SampleKey
from pipeline_src.errors import InputError, bad_input_in_one_line
from pipeline_src.training.seeding import derive
from pipeline_src.training.timetable import steps_per_epoch


def epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order of an epoch's samples, `(length,)` int64, from (seed, epoch) alone."""
    return np.random.Generator(np.random.PCG64(derive(seed, "order", epoch))).permutation(length)


class StepSampler(Sampler[list[SampleKey]]):
    """One rank's keys of every step from `start_step` up to, not including, `total_steps`.

    `batch` is the global batch: samples of a step over all `world` ranks.

    Raises `InputError` when the batch cannot be shared equally, or an epoch would have no step.
    """

    def __init__(
        self,
        length: int,
        *,
        seed: int,
        batch: int,
        rank: int = 0,
        world: int = 1,
        start_step: int = 0,
        total_steps: int,
        drop_last: bool = True,
    ) -> None:
        if batch % world:
            raise InputError(f"recipe.batch: {batch} samples cannot be shared equally by {world} processes")
        self.steps_per_epoch = steps_per_epoch(length, batch, drop_last)
        if self.steps_per_epoch == 0:
            raise InputError(
                f"recipe.batch: {batch} is more than the {length} training images; drop_last leaves none"
            )
        if not drop_last and length % batch % world:
            raise InputError(
                f"recipe.drop_last: an epoch's last {length % batch} images cannot be shared equally by "
                f"{world} processes; set it to true"
            )
        self.length, self.seed, self.batch = length, seed, batch
        self.rank, self.world = rank, world
        self.start_step, self.total_steps = start_step, total_steps

    def order(self, epoch: int) -> np.ndarray:
        """The samples of an epoch, `(length,)` int64; its steps take global batches from it in turn."""
        return epoch_order(self.seed, epoch, self.length)

    def __len__(self) -> int:
        return max(0, self.total_steps - self.start_step)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch, order = -1, np.empty(0, dtype=np.int64)
        for step in range(self.start_step, self.total_steps):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = self.order(epoch)
            first = step % self.steps_per_epoch * self.batch
            whole = order[first : first + self.batch]
            share = len(whole) // self.world
            mine = whole[self.rank * share : (self.rank + 1) * share]
            yield [SampleKey(self.seed, epoch, int(index)) for index in mine]


def training_loader(
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
) -> Iterator[tuple[Tensor, Tensor]]:
    """This rank's `(images (n, 3, h, w), masks (n, h, w))` of steps `start_step` to `total_steps` - 1.

    `workers` processes load ahead (0: none); they change nothing but the speed. Nothing is drawn
    from torch's global generator.

    Raises `InputError` as `StepSampler` does (at once), or for a file that can no longer be read.
    """
    sampler = StepSampler(
        len(dataset),  # type: ignore[arg-type]
        seed=seed,
        batch=batch,
        rank=rank,
        world=world,
        start_step=start_step,
        total_steps=total_steps,
        drop_last=drop_last,
    )
    return load_batches(dataset, sampler, _stack, seed=seed, workers=workers, pin_memory=pin_memory)


def load_batches(
    dataset: Dataset[Any],
    sampler: StepSampler,
    collate: Callable[[list[Any]], Any],
    *,
    seed: int,
    workers: int,
    pin_memory: bool,
) -> Iterator[Any]:
    """The collated batches of a sampler's steps, in order, whatever the number of `workers`."""
    loader = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        collate_fn=collate,
        # its own generator: a loader otherwise takes its workers' base seed from the global one
        generator=torch.Generator().manual_seed(derive(seed, "loader")),
    )
    return bad_input_in_one_line(loader)


def _stack(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, masks = default_collate(samples)
    return images, masks
