"""Weights of a model as files and as an identity: all parameters and buffers, as safetensors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from pipeline_src.files import atomic_path


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name, each a contiguous CPU tensor of its own."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write weights atomically; equal weights give equal bytes."""
    with atomic_path(path) as temporary:
        save_file(dict(weights), temporary)


def digest_of_weights(weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over name, type, shape and bytes of every tensor, in the order of the names.

    Identifies the weights themselves, whatever file format or version holds them.
    """
    hasher = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        hasher.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
