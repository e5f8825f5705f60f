"""Scale equalizers for any network: a convolution that reads a concatenation, measured and folded.

The moments are those of calibrations (`upsampled_moments`), the folding is Algorithm 1 of Scale
Equalization (`models.fusion.scale_equalizer.fold_scales`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.calibration.measure import first_step_modes
from pipeline_src.calibration.upsampled_moments import Moments, upsampled_moments
from pipeline_src.errors import InputError
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.models.fusion.scale_equalizer import Scale, check_scales
from pipeline_src.models.fusion.scale_equalizer import fold_scales as fold_concatenation

Call = Callable[[nn.Module, Any], Any]
"""Runs a network on a batch."""


@dataclass(frozen=True)
class BranchScales:
    """What was measured in front of `convolution`: of each channel group its size, name, mean and std."""

    convolution: str
    groups: tuple[int, ...]
    names: tuple[str, ...]
    scales: tuple[Scale, ...]


def measure_scales(
    network: nn.Module,
    convolution: str,
    groups: Sequence[int],
    batches: Iterable[Any],
    *,
    names: Sequence[str] | None = None,
    bn_fixed: bool = False,
    call: Call | None = None,
) -> BranchScales:
    """Mean and standard deviation of each branch of a concatenation, over `batches`.

    `convolution` is the name, in `network.named_modules()`, of the `nn.Conv2d` that reads the concatenation;
    `groups` are the channels of its branches, in their order, and `names` theirs for messages. A batch is
    what the network takes, `(N, 3, H, W)` as a rule; of a tuple or list, as loaders give, the first part.
    `call` runs the network where that does not fit: `lambda network, batch: network(batch)`.

    The network runs as in the first step of a training, on its own device: batch normalisation takes the
    batch's statistics (unless `bn_fixed`: its running ones), dropout is off, and nothing of it changes.

    Raises `InputError` for a name that is no convolution, groups that are not its channels, no batch, a
    convolution that is not reached, and a branch without spread.
    """
    layer = _layer(network, convolution, groups)
    named = tuple(f"branch {place}" for place in range(len(groups))) if names is None else tuple(names)
    moments = [Moments() for _ in groups]

    def measure(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for place, part in enumerate(inputs[0].split(list(groups), dim=1)):
            moments[place] = moments[place].merge(upsampled_moments(part, (part.shape[-2], part.shape[-1])))

    handle = layer.register_forward_pre_hook(measure)
    run = call or _first_part
    count = 0
    try:
        with first_step_modes(network, bn_fixed), torch.no_grad():
            for batch in batches:
                run(network, _moved(batch, layer.weight.device))
                count += 1
    finally:
        handle.remove()
    if not count:
        raise InputError(f"{convolution}: there is no batch to measure; give at least one")
    if not moments[0].count:
        raise InputError(f"{convolution}: the network never ran it; name the convolution that is used")
    scales = tuple((one.mean, one.std) for one in moments)
    check_scales(convolution, named, scales)
    return BranchScales(convolution, tuple(groups), named, scales)


def fold_scales(network: nn.Module, measured: BranchScales, *, means: bool = False) -> None:
    """Divide the weights of each channel group by its branch's standard deviation (Algorithm 1), in place.

    The convolution then gives what it would give if every branch were divided by its deviation. Its bias,
    where there is one, makes up for the means too, as does a new one with `means`; where BN follows, neither
    matters. Fold once, before the optimiser is made: folding again divides again.

    Raises `InputError` as `measure_scales` does.
    """
    layer = _layer(network, measured.convolution, measured.groups)
    concat = FusedConcat(measured.groups, names=measured.names).connect([(layer, 0)])
    check_scales(measured.convolution, measured.names, measured.scales)
    fold_concatenation(concat, dict(enumerate(measured.scales)), means)


def _layer(network: nn.Module, name: str, groups: Sequence[int]) -> nn.Conv2d:
    """The convolution `name`, if `groups` are its input channels."""
    modules = dict(network.named_modules())
    layer = modules.get(name)
    if not isinstance(layer, nn.Conv2d):
        fitting = [
            key
            for key, one in modules.items()
            if isinstance(one, nn.Conv2d) and one.in_channels == sum(groups)
        ]
        raise InputError(
            f"{name!r} is no nn.Conv2d of this network; of {sum(groups)} input channels are "
            f"{', '.join(fitting[-5:]) or 'none'}"
        )
    if not groups or min(groups) < 1 or sum(groups) != layer.in_channels:
        raise InputError(
            f"{name}: groups {list(groups)} add up to {sum(groups)}, but it reads {layer.in_channels} "
            "channels"
        )
    return layer


def _first_part(network: nn.Module, batch: Any) -> Any:
    return network(batch[0] if isinstance(batch, tuple | list) else batch)


def _moved(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, tuple | list):
        return [_moved(one, device) for one in batch]
    return batch
