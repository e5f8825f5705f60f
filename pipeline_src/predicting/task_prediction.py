"""What a task adds to prediction with a trained network: what is found in an image, and how it is written."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline_src.evaluation.inference_options import Evaluation

OVERLAYS = "overlays"
"""The folder of the pictures, below that of the predictions."""


class PredictionWriter(Protocol):
    """Writes what was found in many images, each file as a whole or not at all."""

    def add(self, name: str, image: NDArray[np.uint8], found: Any) -> dict[str, Any]:
        """Write the files of an RGB image `(H, W, 3)`; what the index says of it.

        `name` is its path below the folder that is predicted.
        """
        ...

    def finish(self) -> None:
        """Write what belongs to all images together."""
        ...


class TaskPrediction(Protocol):
    """A class that is made of a network's resolved section, its evaluation and the classes' names by id."""

    build: Callable[..., torch.nn.Module]

    not_exported: str
    """Why its networks cannot be exported; empty where they map `(N, 3, H, W)` to `(N, C, H, W)` alone."""

    def __init__(self, model: dict[str, Any], evaluation: Evaluation, classes: Sequence[str]) -> None: ...

    def predict(
        self, network: torch.nn.Module, image: NDArray[np.uint8], device: torch.device, name: str
    ) -> Any:
        """What `network`, in evaluation mode, finds in an RGB image `(H, W, 3)` at the image's own size.

        Raises `InputError` naming the image for a network that has diverged or an image too small for it.
        """
        ...

    def writer(self, folder: Path, stems: Callable[[str], str]) -> PredictionWriter:
        """What writes predictions below `folder`; `stems` gives a file's path there without its suffix."""
        ...
