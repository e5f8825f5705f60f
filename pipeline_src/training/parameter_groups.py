"""Which parameters learn at which rate and with which weight decay, from a recipe's `optimizer` section.

A rule names, for every parameter, its multipliers of the learning rate and of the weight decay.
"""

import logging
from collections.abc import Callable

from torch import nn

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.training.optimizer_options import Optimizer

logger = logging.getLogger(__name__)

GroupRule = Callable[[str, nn.Parameter], tuple[float, float]]
"""(parameter name, parameter) -> (multiplier of the learning rate, multiplier of the weight decay)."""


def uniform(name: str, parameter: nn.Parameter) -> tuple[float, float]:
    """The same learning rate and weight decay for every parameter, biases and norms included."""
    return 1.0, 1.0


def rule_of(options: Optimizer, model: nn.Module) -> GroupRule:
    """The rule of an optimiser's options, for `model`.

    `no_decay`: no weight decay where one of these texts is part of the name; `no_decay_1d`: nor on
    biases and other parameters of at most one dimension. `layer_decay`: a learning rate of
    `rate ** (layers + 1 - depth)` by the backbone's `parameter_depth`, and 1 outside it, where the output
    norms belong (MMSegmentation's `stage_wise` rule for ConvNeXt).

    A text of `no_decay` that is part of no name is a warning: networks that share a recipe need not have it.

    Raises `InputError` for `layer_decay` on a backbone whose parameters have no depth.
    """
    decay = options.layer_decay
    prefix, backbone = _backbone_of(model)
    if decay is not None and (backbone is None or not backbone.decays_by_depth):
        raise InputError(
            "recipe.optimizer.layer_decay: the backbone does not say how deep parameters lie; set it to null"
        )

    names = [name for name, _ in model.named_parameters()]
    for text in options.no_decay:
        if not any(text in name for name in names):
            logger.warning("recipe.optimizer.no_decay: %r is part of no parameter's name here", text)

    def rule(name: str, parameter: nn.Parameter) -> tuple[float, float]:
        spared = any(text in name for text in options.no_decay)
        spared |= options.no_decay_1d and (parameter.ndim <= 1 or name.endswith(".bias"))
        rate = 1.0
        if decay is not None and backbone is not None and name.startswith(prefix):
            depth = backbone.parameter_depth(name.removeprefix(prefix))
            rate = 1.0 if depth is None else decay.rate ** (decay.layers + 1 - depth)
        return rate, 0.0 if spared else 1.0

    return rule


def _backbone_of(model: nn.Module) -> tuple[str, StagedBackbone | None]:
    """What the names of the backbone's timm network begin with, and the backbone; None without one."""
    for name, module in model.named_modules():
        if isinstance(module, StagedBackbone):
            return f"{name}.net." if name else "net.", module
    return "", None
