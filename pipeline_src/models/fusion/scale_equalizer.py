"""Scale equalizers (Scale Equalization, section 3.2) in three forms, on any concatenation of a network.

Bilinear upsampling lowers a branch's variance (Theorem 3.2), so the branches of a concatenation differ
in scale, and with them the gradients of their groups of fusion weights (Proposition 3.1). An equalizer
brings every branch to mean 0 and standard deviation 1 by two scalars, its global mean and standard
deviation over the training set, which are measured once before training.

- `module`: `(x - mean) / std` in the forward pass, after the upsampling.
- `folded`: divide each branch's group of fusion weights by its std (Algorithm 1). The mean needs no
  correction where BN follows, since it shifts every channel of the fused map by a constant.
- `up_bn`: batch normalisation after the upsampling. Where nothing else reads a branch's last
  convolution unit, its BN moves: convolution, ReLU, upsampling, BN. Nothing is measured before.

What is equal before the BN that follows: folding the weights alone equals dividing the branches by
their std, everywhere. Folding the means too (into a bias) equals `module` in the interior; where the
convolution pads with zeros, they differ by `mean / std` times the sum of the weights over the padded
taps. And `folded` and `module` are the same function *at initialisation only*: folding leaves the
gradient of the weights proportional to the raw feature, so the trainings part at the first update.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pipeline_src.errors import InputError
from pipeline_src.models.fusion.fused_concat import FusedConcat, FusedSum

Scale = tuple[float, float]
"""Global mean and standard deviation of a branch, after upsampling."""

SMALLEST_STD = 1e-6
"""Branches below it are taken for dead: what is left of them is rounding, which no weight should amplify."""

EQUALIZER_KEY = ".equalizers."
"""Part of the name of every parameter and buffer that an equalizer adds to a network."""


class ScaleEqualizer(nn.Module):
    """`(x - mean) / std` with two scalars, for a branch `(N, C, H, W)`; constants in training."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised branch, of the same shape and type."""
        # half precision cannot hold every std, and sums of it lose the mean
        wide = x.to(torch.promote_types(x.dtype, self.std.dtype))
        return ((wide - self.mean) / self.std).to(x.dtype)


def named_concatenations(model: nn.Module) -> dict[str, FusedConcat]:
    """The concatenations of `model` by their place in it; sums are none."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, FusedConcat) and not isinstance(module, FusedSum)
    }


def insert_equalizers(model: nn.Module, form: str, names: Sequence[str]) -> None:
    """Change the structure of `model` as `form` needs it at the concatenations `names`.

    `module` inserts equalizers that change nothing until `apply_scales`, `up_bn` moves or adds BN,
    `folded` changes no structure. Draws nothing from torch's generator. `InputError` for an unknown
    form or concatenation.
    """
    if form not in ("folded", "module", "up_bn"):
        raise InputError(f"equalizer.form: {form!r} is unknown; use folded, module or up_bn")
    for concat in _chosen(model, names).values():
        for subject in concat.subjects:
            if form == "module":
                concat.equalizers[subject] = ScaleEqualizer()
            elif form == "up_bn":
                _move_normalisation(concat, subject)


def apply_scales(model: nn.Module, form: str, scales: Mapping[str, Sequence[Scale]]) -> None:
    """Give `model` (after `insert_equalizers`) the measured scales: per concatenation, one per subject.

    Apply each concatenation once: folding is not idempotent. `InputError` for an unknown concatenation
    and for a std that is near 0 or not finite (a dead branch).
    """
    chosen = _chosen(model, list(scales))
    for name, concat in chosen.items():
        check_scales(name, [concat.names[subject] for subject in concat.subjects], scales[name])
    for name, concat in chosen.items():
        pairs = dict(zip(concat.subjects, scales[name], strict=True))
        if form == "module":
            for subject, (mean, std) in pairs.items():
                equalizer = concat.equalizers[subject]
                assert isinstance(equalizer, ScaleEqualizer)
                equalizer.mean.fill_(mean)
                equalizer.std.fill_(std)
        elif form == "folded":
            fold_scales(concat, pairs)


def divide_branches(model: nn.Module, scales: Mapping[str, Sequence[Scale]]) -> None:
    """Divide the maps of concatenations by their std: what folding does to the weights that read them."""
    for name, concat in _chosen(model, list(scales)).items():
        device = next(model.parameters()).device
        for subject, (_, std) in zip(concat.subjects, scales[name], strict=True):
            concat.equalizers[subject] = ScaleEqualizer(0.0, std).to(device)


def undivide_branches(model: nn.Module, names: Sequence[str]) -> None:
    """Take away again what `divide_branches` put in."""
    for concat in _chosen(model, names).values():
        for subject in concat.subjects:
            concat.equalizers[subject] = nn.Identity()


def check_scales(name: str, branches: Sequence[str], scales: Sequence[Scale]) -> None:
    """Refuse scales that are not one per branch, or that cannot be divided by (`InputError`)."""
    if len(scales) != len(branches):
        raise InputError(f"{name}: has {len(scales)} scales for its {len(branches)} branches")
    for branch, (mean, std) in zip(branches, scales, strict=True):
        if not (math.isfinite(mean) and math.isfinite(std) and std >= SMALLEST_STD):
            raise InputError(
                f"{name}, branch {branch!r}: mean {mean:g} and std {std:g} cannot equalise it; a branch "
                f"needs a finite mean and a std of at least {SMALLEST_STD:g} (near 0, it is dead)"
            )


@torch.no_grad()
def fold_scales(concat: FusedConcat, scales: Mapping[int, Scale], means: bool = False) -> None:
    """Divide, in every convolution that reads `concat`, the weights of branch `i` by `scales[i]`'s std.

    With `means`, a bias makes up for the means as well (it is added where the convolution has none);
    a bias that exists always does. Raises `InputError` when nothing is known to read the concatenation.
    """
    if not concat.consumers:
        raise InputError(
            "equalizer.form: folded needs a convolution that reads the concatenation; use module"
        )
    for convolution, offset in concat.consumers:
        if convolution.groups not in (1, convolution.out_channels):
            raise InputError(
                f"equalizer.form: folded cannot divide a convolution of {convolution.groups} groups"
            )
        if means and convolution.bias is None:
            convolution.bias = nn.Parameter(convolution.weight.new_zeros(convolution.out_channels))
        for branch, (mean, std) in scales.items():
            span = branch_span(concat, branch, offset)
            group = weight_group(convolution, convolution.weight, span)
            group /= std
            if convolution.bias is not None:
                shift = mean * group.sum(dim=(1, 2, 3))
                if convolution.groups > 1:
                    convolution.bias[span] -= shift
                else:
                    convolution.bias -= shift


def branch_span(concat: FusedConcat, branch: int, offset: int = 0) -> slice:
    """The input channels of a consumer that read branch `branch`, where its first channel is `offset`."""
    first = offset + sum(concat.channels[:branch])
    return slice(first, first + concat.channels[branch])


def weight_group(convolution: nn.Conv2d, values: Tensor, span: slice) -> Tensor:
    """The view of `values` (the weight, or its gradient) that reads the input channels `span`."""
    return values[span] if convolution.groups > 1 else values[:, span]


def _chosen(model: nn.Module, names: Sequence[str]) -> dict[str, FusedConcat]:
    known = named_concatenations(model)
    for name in names:
        if name not in known:
            raise InputError(
                f"equalizer.concatenations: {name!r} is no concatenation of this network; it has "
                f"{', '.join(known) or 'none'}"
            )
    return {name: known[name] for name in names}


def _move_normalisation(concat: FusedConcat, subject: int) -> None:
    """Put a BN behind the upsampling of a branch, and take the one of its own unit away."""
    unit = concat.units[subject]
    if unit is not None:
        unit[1] = nn.Identity()
    concat.equalizers[subject] = nn.BatchNorm2d(concat.channels[subject])
