"""Bytes that autograd keeps for the backward pass: the activation memory of a training step.

A storage counts once, however many operators keep it; parameters and buffers do not count, since
they are there anyway; what is no longer reachable at the end of the forward pass does not count.
Measured on fake tensors, so that nothing is computed and nothing allocated, as the float32 CPU
path would keep it.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from pipeline_src.data.index import IGNORE_INDEX
from pipeline_src.training.losses import SegmentationLoss


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


def training_saved_bytes(build: Callable[[], nn.Module], batch: int, crop: tuple[int, int]) -> int:
    """Bytes kept by one training step of a segmentation model: forward pass and cross-entropy.

    `build()` makes the model that maps `(batch, 3, *crop)` to logits `(batch, classes, *crop)`, or to a
    pair of them; it is called on the meta device and takes no memory. Gradients and optimiser state are
    not in the number.
    """
    loss = SegmentationLoss("sum", IGNORE_INDEX)
    with torch.device("meta"):
        model = build().train()
    # The meta device alone is not enough: operators choose another path there (attention, for one).
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        images = torch.empty(batch, 3, *crop)
        labels = torch.zeros(batch, *crop, dtype=torch.int64)

        def forward() -> Tensor:
            return loss(model(images), labels, 1)

        return saved_bytes(forward, model)


def _identity(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
