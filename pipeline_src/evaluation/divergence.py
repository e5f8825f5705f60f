"""Refuses what a diverged detector gives before it is taken for a detector that finds nothing.

torchvision's detectors compare boxes and scores with thresholds and so drop those that are NaN; what
is left looks like an image without detections. The heads' raw outputs still show it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class NotFinite(ValueError):
    """Boxes, scores or what they are made of are not finite: the model has diverged."""


def require_finite(found: Mapping[str, Tensor]) -> None:
    """Raise `NotFinite` unless the `boxes` `(n, 4)` and `scores` `(n,)` of an image are finite."""
    for key, name in (("boxes", "a box"), ("scores", "a score")):
        if not bool(torch.isfinite(found[key]).all()):
            raise NotFinite(f"{name} is not finite")


@contextmanager
def finite_heads(model: nn.Module) -> Iterator[None]:
    """Within, `model` raises `NotFinite` where one of its `heads()` gives a value that is not finite."""
    detector: Any = model
    heads: list[nn.Module] = detector.heads() if hasattr(model, "heads") else []
    names = {id(module): name for name, module in model.named_modules()}
    handles = [module.register_forward_hook(_checker(names[id(module)])) for module in heads]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _checker(name: str) -> Callable[[nn.Module, Any, Any], None]:
    def check(module: nn.Module, inputs: Any, output: Any) -> None:
        # one verdict for all: each that is read makes a GPU wait
        verdicts = [torch.isfinite(tensor).all() for tensor in _tensors(output)]
        if not bool(torch.stack(verdicts).all()):
            raise NotFinite(f"an output of {name} is not finite")

    return check


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _tensors(one)
    else:
        for one in value:
            yield from _tensors(one)
