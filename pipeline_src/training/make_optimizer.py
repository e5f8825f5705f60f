"""SGD and AdamW from a recipe, over the groups that its rule forms (`training.parameter_groups`)."""

from typing import Any

import torch
from torch import nn

from pipeline_src.training.optimizer_options import AdamW, Sgd
from pipeline_src.training.parameter_groups import GroupRule, rule_of, uniform


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


def build_optimizer(model: nn.Module, options: Sgd | AdamW) -> torch.optim.Optimizer:
    """The optimiser of a recipe, with its groups.

    Raises `InputError` for `layer_decay` on a network that has none.
    """
    groups = parameter_groups(
        model, lr=options.lr, weight_decay=options.weight_decay, rule=rule_of(options, model)
    )
    if isinstance(options, Sgd):
        return torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum, nesterov=options.nesterov)
    first, second = options.betas
    return torch.optim.AdamW(groups, lr=options.lr, betas=(first, second))
