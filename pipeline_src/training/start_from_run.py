"""Starting from another run's weights: what fits is copied, the rest is listed (decision 0015)."""

import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from pipeline_src.errors import InputError
from pipeline_src.files import read_json


def start_from_run(model: nn.Module, source: str) -> dict[str, Any]:
    """Copy into `model` what fits of a run's weights; `source` is its sidecar, or a weights file itself.

    Returns the file's `path` and what `load_matching` says.
    """
    path = _weights_of_run(source)
    return {"path": str(path), **load_matching(model, path)}


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


def _weights_of_run(path: str) -> Path:
    """The weights file that an earlier run's sidecar names, or the path itself."""
    if Path(path).suffix != ".json":
        return Path(path)
    return Path(read_json(path)["outputs"]["model"]["path"])


_WRAPPED_BACKBONE = re.compile(r"^(?:backbone\.)?pyramid\.(?:backbone\.)?(?=(?:net|out_norms)\.)")
"""A detector keeps its pyramid as `backbone.pyramid`, and a pyramid its backbone as `backbone`."""


def _without_wrappers(name: str) -> str:
    return _WRAPPED_BACKBONE.sub("pyramid.", name)
