"""SGD and AdamW from a recipe, over parameter groups that a rule forms.

A rule names, for every parameter, its multipliers of the learning rate and of the weight decay.
Recipes so far use one rule for all (`uniform`); parameters without weight decay or with a learning
rate that falls with depth are another rule, and nothing else changes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

GroupRule = Callable[[str, nn.Parameter], tuple[float, float]]
"""(parameter name, parameter) -> (multiplier of the learning rate, multiplier of the weight decay)."""


def uniform(name: str, parameter: nn.Parameter) -> tuple[float, float]:
    """The same learning rate and weight decay for every parameter, biases and norms included."""
    return 1.0, 1.0


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float, rule: GroupRule = uniform
) -> list[dict[str, Any]]:
    """Trainable parameters of `model`, grouped by equal multipliers, in order of first appearance.

    A group's `base_lr` is what its schedule starts from; `lr` is set anew before every update.
    """
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            members.setdefault(rule(name, parameter), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": lr * lr_multiplier,
            "base_lr": lr * lr_multiplier,
            "weight_decay": weight_decay * decay_multiplier,
        }
        for (lr_multiplier, decay_multiplier), parameters in members.items()
    ]


def build_optimizer(
    model: nn.Module, recipe: dict[str, Any], rule: GroupRule = uniform
) -> torch.optim.Optimizer:
    """The optimiser that a resolved recipe's `optimizer` section describes.

    Raises `ValueError` for an unknown kind.
    """
    groups = parameter_groups(model, lr=recipe["lr"], weight_decay=recipe["weight_decay"], rule=rule)
    match recipe["kind"]:
        case "sgd":
            return torch.optim.SGD(
                groups, lr=recipe["lr"], momentum=recipe["momentum"], nesterov=recipe["nesterov"]
            )
        case "adamw":
            first, second = recipe["betas"]
            return torch.optim.AdamW(groups, lr=recipe["lr"], betas=(first, second))
    raise ValueError(f"unknown optimizer {recipe['kind']!r}")
