"""Training batches in an order that is a function of the seed: resumable, and shared between ranks.

An epoch is a permutation from (seed, epoch), cut into global batches; a rank takes its contiguous
share of each. So the batch of a step is known without the steps before it, and neither the number
of loader workers nor a restart can change what a step sees.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from pipeline_src.errors import InputError, bad_input_in_one_line
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.loader_workers import GuardedDataset
from pipeline_src.training.seeding import derive
from pipeline_src.training.timetable import steps_per_epoch

if TYPE_CHECKING:
    from pipeline_src.training.recipe import Recipe


class SampleKey(NamedTuple):
    """Which training sample: everything random about it follows from these three numbers."""

    seed: int
    epoch: int
    sample: int

    def generator(self) -> np.random.Generator:
        """What the sample's augmentation draws from, equal in every process and after every restart."""
        return np.random.Generator(np.random.PCG64(derive(self.seed, "augment", self.epoch, self.sample)))


class TrainingSplit(Protocol):
    """A task's training split: samples by key, their order in an epoch, and how they become a batch."""

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, key: SampleKey) -> Any:
        """The sample of a key, augmented."""
        ...

    def order(self, seed: int, epoch: int, batch: int) -> np.ndarray:
        """The samples of an epoch, `(length,)` int64; its steps take batches of `batch` from it in turn."""
        ...

    def collate(self, samples: list[Any]) -> Any:
        """Samples as the batch that the task's objective takes."""
        ...


def epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order of an epoch's samples, `(length,)` int64, from (seed, epoch) alone."""
    return np.random.Generator(np.random.PCG64(derive(seed, "order", epoch))).permutation(length)


class StepSampler(Sampler[list[SampleKey]]):
    """One rank's keys of every step from `start_step` up to, not including, `total_steps`.

    `length` samples come in the `order(seed, epoch, batch)`; `batch` is the global batch: samples of a step
    over all `world` ranks.

    Raises `InputError` when the batch cannot be shared equally, or an epoch would have no step.
    """

    def __init__(
        self,
        length: int,
        order: Callable[[int, int, int], np.ndarray],
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
        self.order, self.seed, self.batch = order, seed, batch
        self.rank, self.world = rank, world
        self.start_step, self.total_steps = start_step, total_steps

    def __len__(self) -> int:
        return max(0, self.total_steps - self.start_step)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch, order = -1, np.empty(0, dtype=np.int64)
        for step in range(self.start_step, self.total_steps):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = self.order(self.seed, epoch, self.batch)
            first = step % self.steps_per_epoch * self.batch
            whole = order[first : first + self.batch]
            share = len(whole) // self.world
            mine = whole[self.rank * share : (self.rank + 1) * share]
            yield [SampleKey(self.seed, epoch, int(index)) for index in mine]


def training_loader(
    split: TrainingSplit,
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
) -> Iterator[Any]:
    """This rank's batches, collated, of steps `start_step` to `total_steps` - 1.

    `batch` is the global batch. `workers` processes load ahead (0: none); they change nothing but the
    speed. Nothing is drawn from torch's global generator.

    Raises `InputError` as `StepSampler` does (at once), or for a file that can no longer be read.
    """
    sampler = StepSampler(
        len(split),
        split.order,
        seed=seed,
        batch=batch,
        rank=rank,
        world=world,
        start_step=start_step,
        total_steps=total_steps,
        drop_last=drop_last,
    )
    loader = DataLoader(
        GuardedDataset(split),
        batch_sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        collate_fn=split.collate,
        # its own generator: a loader otherwise takes its workers' base seed from the global one
        generator=torch.Generator().manual_seed(derive(seed, "loader")),
    )
    return bad_input_in_one_line(loader)


def batch_source(
    split: TrainingSplit, recipe: "Recipe", seed: int, ranks: Ranks, workers: int
) -> Callable[[int, int], Iterator[Any]]:
    """A training's batches of this rank, from the first step and the number of steps."""

    def batches(first_step: int, total_steps: int) -> Iterator[Any]:
        return training_loader(
            split,
            seed=seed,
            batch=recipe.batch,
            rank=ranks.rank,
            world=ranks.world,
            start_step=first_step,
            total_steps=total_steps,
            workers=workers,
            drop_last=recipe.drop_last,
            pin_memory=ranks.device.type == "cuda",
        )

    return batches
