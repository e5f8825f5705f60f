"""Data parallel training under `torchrun`: who am I, and the few things the ranks do together.

Gradients are summed by hand after the last micro-batch instead of through
`DistributedDataParallel`. Since every rank's loss is already divided by the whole batch's count, a
plain sum is the gradient of one process with the whole batch, for any number of micro-batches, for
unequal ranks, and for parameters that stop learning on the way (batch normalisation).
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn

from pipeline_src.errors import InputError

PATIENCE = timedelta(hours=1)
"""How long a rank waits for another one before it gives up."""

BUCKET = 1 << 24
"""Gradient elements that travel in one message."""


@dataclass(frozen=True)
class Ranks:
    """This process among `world` that train together, and the device that it uses.

    With one process everything here is a plain local operation.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one rank that writes files."""
        return self.rank == 0

    def sum(self, value: float) -> float:
        """Sum of a number over all ranks, in float64."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set on any rank: one answer that all ranks act on."""
        if self.world == 1:
            return flags
        votes = torch.tensor(flags, dtype=torch.int32)
        distributed.all_reduce(votes)
        return tuple(bool(vote) for vote in votes)

    def share(self, value: Any) -> Any:
        """The first rank's `value` (any small picklable object), on every rank."""
        if self.world == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Every rank's `value` (any small picklable object), in the order of the ranks, on every rank."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        distributed.all_gather_object(found, value)
        return found

    def sum_tensor(self, value: torch.Tensor) -> torch.Tensor:
        """Sum of a tensor over all ranks, in place."""
        if self.world > 1:
            distributed.all_reduce(value)
        return value

    def broadcast_model(self, model: nn.Module) -> None:
        """Give every rank the first rank's parameters and buffers."""
        if self.world > 1:
            for tensor in model.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all ranks."""
        if self.world == 1:
            return
        for bucket in _buckets(parameter.grad for parameter in parameters if parameter.grad is not None):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            distributed.all_reduce(flat)
            parts = flat.split([gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))


def _buckets(gradients: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    for gradient in gradients:
        full = sum(member.numel() for member in bucket) + gradient.numel() > BUCKET
        if bucket and (full or bucket[0].dtype != gradient.dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


@contextmanager
def process_group(device: str = "auto") -> Iterator[Ranks]:
    """Join the other processes that `torchrun` started, if it did, and leave them again.

    `device` is `auto` (CUDA where there is one), `cpu` or `cuda`. Numbers and flags travel through
    gloo even on CUDA, so that agreeing on them never waits for the GPU.

    Raises `InputError` for `cuda` without a usable device, or fewer devices than local ranks.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if world == 1:
        yield Ranks(0, 1, chosen)
        return
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Ranks(rank, world, chosen)
    finally:
        distributed.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if local_rank >= visible:
        raise InputError(
            f"--device cuda: local rank {local_rank} needs CUDA device {local_rank}, and {visible} are "
            "visible; start fewer processes or use --device cpu"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
