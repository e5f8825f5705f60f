"""Bytes that autograd keeps for the backward pass: the activation memory of a training step.

A storage counts once, however many operators keep it; parameters and buffers do not count, since
they are there anyway; what is no longer reachable at the end of the forward pass does not count.
On fake tensors nothing is computed and nothing allocated.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class _Saved:
    """Holds one saved tensor for as long as the graph holds it."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def saved_bytes(forward: Callable[[], Any], module: nn.Module) -> int:
    """Bytes kept for backward by `forward()`, whose result holds the graph, without tensors of `module`."""
    alive: weakref.WeakSet[_Saved] = weakref.WeakSet()

    def pack(tensor: Tensor) -> _Saved:
        saved = _Saved(tensor)
        alive.add(saved)
        return saved

    def unpack(saved: _Saved) -> Tensor:
        return saved.tensor

    own = {_identity(tensor) for tensor in (*module.parameters(), *module.buffers())}
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        result = forward()
    sizes = {_identity(saved.tensor): saved.tensor.untyped_storage().nbytes() for saved in alive}
    total = sum(size for identity, size in sizes.items() if identity not in own)
    del result
    return total


def _identity(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
