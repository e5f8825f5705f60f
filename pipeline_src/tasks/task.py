"""What a run is for, from its resolved model section. Standard library only."""

from collections.abc import Mapping
from typing import Any


def task_of(model: Mapping[str, Any]) -> str:
    """`detection` for a network with a detector, `segmentation` for one with a decoder."""
    return "detection" if model.get("detector") is not None else "segmentation"
