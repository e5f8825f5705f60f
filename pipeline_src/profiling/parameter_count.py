"""Counting parameters: each tensor once, however many modules share it; buffers do not count."""

from torch import nn


def count_parameters(module: nn.Module) -> int:
    """Number of parameter values of `module`, shared tensors once; works on any device, meta included."""
    return sum(parameter.numel() for parameter in module.parameters())
