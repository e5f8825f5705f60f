"""Which parameters learn at which rate and with which weight decay, from a recipe's `optimizer` section.

A rule names, for every parameter, its multipliers of the learning rate and of the weight decay. The
names are those of `SegmentationModel`: a backbone's own parameters begin with `pyramid.net.`, or with
`pyramid.backbone.net.` where a fusion method wraps the backbone. In a detector `backbone.` precedes them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from pipeline_src.errors import InputError

GroupRule = Callable[[str, nn.Parameter], tuple[float, float]]
"""(parameter name, parameter) -> (multiplier of the learning rate, multiplier of the weight decay)."""

_CONVNEXT = re.compile(
    r"(?:backbone\.)?pyramid\.(?:backbone\.)*net\."
    r"(?:stem|stages\.\d+\.downsample|stages\.(?P<stage>\d+)\.blocks)\."
)


def uniform(name: str, parameter: nn.Parameter) -> tuple[float, float]:
    """The same learning rate and weight decay for every parameter, biases and norms included."""
    return 1.0, 1.0


def rule_of(optimizer: Mapping[str, Any], model: nn.Module) -> GroupRule:
    """The rule of a resolved `optimizer` section, for `model`.

    `no_decay`: no weight decay where one of these texts is part of the name; `no_decay_1d`: nor on
    biases and other parameters of at most one dimension; `layer_decay`: see `depth_multiplier`. Keys
    that are missing, as in older job files, change nothing.

    Raises `InputError` for `layer_decay` on a network without ConvNeXt's stages.
    """
    texts, without_1d = optimizer.get("no_decay") or [], optimizer.get("no_decay_1d", False)
    decay = optimizer.get("layer_decay")
    # not 0: it takes blocks to be a ConvNeXt
    if decay is not None and not any(convnext_depth(name) for name, _ in model.named_parameters()):
        raise InputError(
            "recipe.optimizer.layer_decay: is defined for ConvNeXt backbones only; set it to null"
        )

    def rule(name: str, parameter: nn.Parameter) -> tuple[float, float]:
        spared = any(text in name for text in texts)
        spared |= without_1d and (parameter.ndim <= 1 or name.endswith(".bias"))
        rate = 1.0 if decay is None else depth_multiplier(name, decay["rate"], decay["layers"])
        return rate, 0.0 if spared else 1.0

    return rule


def depth_multiplier(name: str, rate: float, layers: int) -> float:
    """ConvNeXt's stage-wise learning rate: `rate ** (layers + 1 - depth)`, and 1 outside the backbone.

    The output norms belong to what is outside. Source: ConvNeXt's `stage_wise` rule in MMSegmentation.
    """
    depth = convnext_depth(name)
    return 1.0 if depth is None else rate ** (layers + 1 - depth)


def convnext_depth(name: str) -> int | None:
    """0 in the stem and the down-samplings, 1 to 4 in the blocks of a stage, None for other parameters."""
    found = _CONVNEXT.match(name)
    if found is None:
        return None
    return 0 if found["stage"] is None else int(found["stage"]) + 1
