"""Weights of a model as files and as an identity: all parameters and buffers, as safetensors."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline_src.errors import InputError
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


def load_matching(model: nn.Module, path: Path) -> dict[str, Any]:
    """Copy into `model` the tensors of a safetensors file that match by name and shape.

    A backbone's tensors match whatever is built around it: a decoder, a pyramid, a detector. The rest of
    the model keeps its own initialisation. Returns `{"loaded": number of tensors,
    "other_shape": names, "only_in_model": names, "only_in_file": names}`.

    Raises `InputError` when the file cannot be read, or nothing matches.
    """
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    own = model.state_dict()
    names = {_without_wrappers(name): name for name in own}
    given = {names.get(_without_wrappers(name), name): tensor for name, tensor in given.items()}
    common = own.keys() & given.keys()
    matching = {name: given[name] for name in common if given[name].shape == own[name].shape}
    if not matching:
        raise InputError(f"{path}: none of its {len(given)} tensors matches the model by name and shape")
    model.load_state_dict(matching, strict=False)
    return {
        "loaded": len(matching),
        "other_shape": sorted(common - matching.keys()),
        "only_in_model": sorted(own.keys() - given.keys()),
        "only_in_file": sorted(given.keys() - own.keys()),
    }


_WRAPPED_BACKBONE = re.compile(r"^(?:backbone\.)?pyramid\.(?:backbone\.)?(?=(?:net|out_norms)\.)")
"""A detector keeps its pyramid as `backbone.pyramid`, and a pyramid its backbone as `backbone`."""


def _without_wrappers(name: str) -> str:
    return _WRAPPED_BACKBONE.sub("pyramid.", name)
