"""A pass of a model over a split: whose images are whose, the model's mode meanwhile, and progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, Dataset

from pipeline_src.errors import bad_input_in_one_line
from pipeline_src.progress import track
from pipeline_src.training.loader_workers import GuardedDataset


class EvaluationSplit(Protocol):
    """Items by index, as the task's evaluation takes them; the last part of each is the record's id."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Any, ...]: ...


def run_pass(
    model: nn.Module,
    split: EvaluationSplit,
    visit: Callable[[int, tuple[Any, ...]], None],
    *,
    workers: int = 0,
    title: str = "evaluate",
) -> None:
    """Call `visit(index, item)` for the items of `split`, in order, without gradients.

    Where `torch.distributed` is initialised, every rank has to call this: rank r of w gets the items
    r, r + w, ... The model is in evaluation mode meanwhile; afterwards every module has the mode that it
    had (a module whose batch normalisation was fixed stays fixed).

    Raises `InputError` for a file that cannot be read.
    """
    rank, world = rank_and_world()
    indices = range(rank, len(split), world)
    items: DataLoader[Any] = DataLoader(
        GuardedDataset(cast(Dataset[Any], split)), batch_size=None, sampler=indices, num_workers=workers
    )
    read = track(bad_input_in_one_line(items), len(indices), title, shown=rank == 0)
    with evaluation_mode(model), torch.no_grad():
        for index, item in zip(indices, read, strict=True):
            visit(index, item)


def rank_and_world() -> tuple[int, int]:
    """This process and how many there are; 0 of 1 where `torch.distributed` is not initialised."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards every module has the mode that it had."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        # Module by module: `model.train()` would also wake what was deliberately fixed.
        for module, training in before:
            module.training = training
