"""Scales of a network's fusions before the first step: features forward, gradients of fusion weights back.

Shows on the real network what Scale Equalization says: upsampling lowers a branch's scale (Theorem 3.2),
and the gradient of a branch's group of fusion weights follows that scale (Proposition 3.1).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.calibration.measure import first_step_modes, measured
from pipeline_src.calibration.probed_forms import PLAIN, PROBED_FORMS
from pipeline_src.calibration.upsampled_moments import Moments, moments_of_sizes
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.models.fusion.scale_equalizer import branch_span, named_concatenations, weight_group
from pipeline_src.training.losses import SegmentationLoss

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images `(n, 3, H, W)` with their masks `(n, H, W)`."""


@dataclass
class RootMeanSquare:
    """Root mean square of all values that were added."""

    squares: float = 0.0
    count: int = 0

    def add(self, values: Tensor) -> None:
        """Add the values of a tensor, in float64."""
        self.squares += float(values.detach().to(torch.float64).square().sum())
        self.count += values.numel()

    @property
    def value(self) -> float:
        """The root mean square; NaN of nothing."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan


@dataclass
class BranchScales:
    """What is measured of one subject of a concatenation.

    `raw`: as it arrives; `upsampled`: at the common size; `fused`: as it is concatenated, equalised where
    the network has a module for it. `gradient` and `weight`: of its group of fusion weights, over all
    convolutions that read the concatenation, the gradient over all batches too.
    """

    branch: str
    raw: Moments = field(default_factory=Moments)
    upsampled: Moments = field(default_factory=Moments)
    fused: Moments = field(default_factory=Moments)
    gradient: RootMeanSquare = field(default_factory=RootMeanSquare)
    weight: RootMeanSquare = field(default_factory=RootMeanSquare)


def probe_network(
    model: nn.Module, names: Sequence[str], batches: Batches, loss: SegmentationLoss, bn_fixed: bool
) -> dict[str, list[BranchScales]]:
    """Run `model`, on its device, forward and backward over `batches`; scales of the concatenations `names`.

    In the modes of `first_step_modes`, so an auxiliary head does not run. Changes no weight and no
    running statistic. A group of weights that is read by no known convolution has no gradient (NaN).
    """
    concats = {name: named_concatenations(model)[name] for name in names}
    device = next(model.parameters()).device
    weights = list({id(c.weight): c.weight for one in concats.values() for c, _ in one.consumers}.values())
    found = {
        name: [BranchScales(concat.names[subject]) for subject in concat.subjects]
        for name, concat in concats.items()
    }
    with first_step_modes(model, bn_fixed), measured(concats) as branches, _fused(concats, found):
        for images, masks in batches:
            masks = masks.to(device).long()
            value = loss(model(images.to(device)), masks, loss.pixels(masks))
            gradients = torch.autograd.grad(value, weights) if weights else ()
            by_weight = {id(weight): gradient for weight, gradient in zip(weights, gradients, strict=True)}
            for name, concat in concats.items():
                for branch, subject in zip(found[name], concat.subjects, strict=True):
                    for convolution, offset in concat.consumers:
                        span = branch_span(concat, subject, offset)
                        gradient = by_weight[id(convolution.weight)]
                        branch.gradient.add(weight_group(convolution, gradient, span))
    for name, concat in concats.items():
        for branch, subject, seen in zip(found[name], concat.subjects, branches[name], strict=True):
            branch.raw, branch.upsampled = seen.raw, seen.upsampled
            for convolution, offset in concat.consumers:
                span = branch_span(concat, subject, offset)
                branch.weight.add(weight_group(convolution, convolution.weight, span))
    return found


def probe_records(found: Mapping[str, Mapping[str, list[BranchScales]]]) -> dict[str, list[dict[str, Any]]]:
    """The entries of probe.json, of what was found by form and concatenation.

    Features of the plain network and of the one with modules, gradients and weights of all.
    """
    return {
        name: [
            {
                "branch": branch.branch,
                "raw_std": branch.raw.std,
                "upsampled_std": branch.upsampled.std,
                "equalised_mean": found["module"][name][place].fused.mean,
                "equalised_std": found["module"][name][place].fused.std,
                "gradient": {form: found[form][name][place].gradient.value for form in PROBED_FORMS},
                "weight": {form: found[form][name][place].weight.value for form in PROBED_FORMS},
            }
            for place, branch in enumerate(branches)
        ]
        for name, branches in found[PLAIN].items()
    }


@contextmanager
def _fused(concats: dict[str, FusedConcat], found: dict[str, list[BranchScales]]) -> Iterator[None]:
    """Within the context every forward pass adds to the moments of the branches as they are concatenated."""
    handles = [
        concat.equalizers[subject].register_forward_hook(partial(_add, branch))
        for name, concat in concats.items()
        for branch, subject in zip(found[name], concat.subjects, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _add(branch: BranchScales, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
    own = (output.shape[-2], output.shape[-1])
    branch.fused = branch.fused.merge(moments_of_sizes(output, [own])[0])
