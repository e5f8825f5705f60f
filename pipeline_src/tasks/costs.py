"""What step `cost` asks of a task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

Size = tuple[int, int]
"""Height and width of an image."""


@dataclass(frozen=True)
class Costs:
    """Ways to build, describe and exercise the networks of one task.

    `describe(model section, size)`: `parameters`, `flops` of one image and `parts`;
    `saved_bytes(model section, batch, size)`: what a training step's forward pass keeps;
    `build(model section)`; `inference(module, batch, size)` and `step(module, recipe, batch, size,
    classes)`: calls to be timed, on the module's device.
    """

    describe: Callable[[dict[str, Any], Size], dict[str, Any]]
    saved_bytes: Callable[[dict[str, Any], int, Size], int]
    build: Callable[[dict[str, Any]], nn.Module]
    inference: Callable[[nn.Module, int, Size], Callable[[], Any]]
    step: Callable[[nn.Module, dict[str, Any], int, Size, int], Callable[[], Any]]
