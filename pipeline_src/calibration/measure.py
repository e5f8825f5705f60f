"""Measuring the branches of concatenations while a network runs on the data that it will be trained on.

`first_step_modes` sets the modes in which it runs: batch norm, dropout and drop-path.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.calibration.upsampled_moments import Moments, moments_of_sizes
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.training.batchnorm import batch_norms


@dataclass
class Branch:
    """One subject of a concatenation: its moments as it arrives, and after upsampling to the common size."""

    name: str
    channels: int
    raw: Moments = field(default_factory=Moments)
    upsampled: Moments = field(default_factory=Moments)


def branch_records(branches: Sequence[Branch]) -> list[dict[str, Any]]:
    """The entries of one concatenation in a statistics file."""
    return [
        {
            "branch": branch.name,
            "channels": branch.channels,
            "count": branch.upsampled.count,
            "mean": branch.upsampled.mean,
            "std": branch.upsampled.std,
            "raw_mean": branch.raw.mean,
            "raw_std": branch.raw.std,
        }
        for branch in branches
    ]


@contextmanager
def first_step_modes(model: nn.Module, bn_fixed: bool) -> Iterator[None]:
    """The modes of the first training step without its noise: BN takes the batch's statistics (unless it
    is fixed from the start), dropout and drop-path are off, and running statistics stay as they are.
    """
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    norms = [] if bn_fixed else list(batch_norms(model))
    tracking = [(norm, norm.track_running_stats) for norm in norms]
    try:
        for norm in norms:
            norm.train()
            norm.track_running_stats = False
        yield
    finally:
        for norm, tracked in tracking:
            norm.track_running_stats = tracked
        for module, training in before:
            module.training = training


@contextmanager
def measured(concats: Mapping[str, FusedConcat]) -> Iterator[dict[str, list[Branch]]]:
    """Within the context every forward pass adds to the moments of the concatenations' subjects.

    Yields `{name: [one Branch per subject]}`. Branches are measured before their equalizers.
    """
    found = {
        name: [Branch(concat.names[subject], concat.channels[subject]) for subject in concat.subjects]
        for name, concat in concats.items()
    }
    handles = [
        concat.register_forward_pre_hook(partial(_measure, found[name]), with_kwargs=True)
        for name, concat in concats.items()
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _measure(
    branches: list[Branch], concat: Any, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    maps: list[Tensor] = arguments[0] if arguments else options["branches"]
    size = concat.target_size(maps, *arguments[1:], **{k: v for k, v in options.items() if k == "size"})
    for branch, subject in zip(branches, concat.subjects, strict=True):
        x = maps[subject]
        own = (x.shape[-2], x.shape[-1])
        sizes = [own] if own == tuple(size) else [own, tuple(size)]
        moments = moments_of_sizes(x, sizes, concat.align_corners)
        branch.raw = branch.raw.merge(moments[0])
        branch.upsampled = branch.upsampled.merge(moments[-1])
