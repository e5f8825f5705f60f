"""FLOPs of a forward pass: 2 x multiply-adds of convolutions and matrix products, nothing else.

Counted from the operators that really run, so shared weights that run three times count three
times. Nothing is computed: the model and its input may live on the meta device.
"""

from collections import Counter
from functools import partial
from typing import Any

from torch import no_grad
from torch.nn import Module
from torch.utils.flop_counter import FlopCounterMode


def count_flops(module: Module, *inputs: Any) -> int:
    """FLOPs of `module(*inputs)` in evaluation mode; every part gets its own mode back."""
    return sum(count_flops_by_module(module, *inputs).values())


def count_flops_by_module(module: Module, *inputs: Any) -> dict[str, int]:
    """As `count_flops`, by the name (as in `named_modules`) of the innermost module that did the work."""
    own: Counter[str] = Counter()
    running = [""]
    counted = 0
    counter = FlopCounterMode(display=False)

    def settle(*_: object) -> None:
        # What was counted since the last call was done by the module that ran until now.
        nonlocal counted
        total = counter.get_total_flops()
        own[running[-1]] += total - counted
        counted = total

    def enter(name: str, *_: object) -> None:
        settle()
        running.append(name)

    def leave(*_: object) -> None:
        settle()
        running.pop()

    handles = []
    for name, part in module.named_modules():
        handles += [part.register_forward_pre_hook(partial(enter, name)), part.register_forward_hook(leave)]
    modes = [(part, part.training) for part in module.modules()]
    try:
        with counter, no_grad():
            module.eval()(*inputs)
    finally:
        for part, training in modes:
            part.training = training
        for handle in handles:
            handle.remove()
    return {name: flops for name, flops in own.items() if flops}
