"""Which device a step uses, from its command line."""

import torch

from pipeline_src.errors import InputError


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one; raises `InputError` for `cuda` where there is none."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("--device cuda: PyTorch finds no GPU here")
    return torch.device("cuda" if name != "cpu" and available else "cpu")
