"""Opens a trained run: the network of a training's sidecar with the weights that belong to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, read_json


def load_trained(
    model: dict[str, Any],
    sidecar_path: str | Path,
    device: torch.device,
    build: Callable[[dict[str, Any], None], torch.nn.Module],
) -> torch.nn.Module:
    """The network that `build` makes of the resolved section `model`, with a training's weights.

    The training's sidecar names them.

    Raises `InputError` when the weights are gone, are not those that the training wrote (SHA-256),
    or do not fit the network.
    """
    weights = read_json(sidecar_path)["outputs"]["model"]
    path = Path(weights["path"])
    if not path.is_file():
        raise InputError(f"{path}: no such file, though {sidecar_path} names it; train the run again")
    if digest_file(path) != weights["sha256"]:
        raise InputError(f"{path}: is not the file that {sidecar_path} describes; train the run again")
    network = build(model, None)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: does not fit the model of the job ({reason})") from None
    return network.to(device).eval()
