"""Prediction of segmentation networks: a class for every pixel."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline_src.errors import InputError
from pipeline_src.evaluation.inference import inference_of
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.palette import index_image
from pipeline_src.evaluation.panels import save_png
from pipeline_src.evaluation.segmentation_overlays import draw_panel
from pipeline_src.evaluation.voc_submission import predict
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.predicting.task_prediction import OVERLAYS

MASKS = "masks"


class SegmentationPrediction:
    """Class ids at the image's own size; see `predicting.task_prediction.TaskPrediction`."""

    build = staticmethod(build_segmentor)
    not_exported = ""

    def __init__(self, model: dict[str, Any], evaluation: Evaluation, classes: Sequence[str]) -> None:
        self.model, self.classes = model, list(classes)
        self.inference = inference_of(evaluation)

    def predict(
        self, network: torch.nn.Module, image: NDArray[np.uint8], device: torch.device, name: str
    ) -> NDArray[np.uint8]:
        """Class ids `(H, W)` uint8 of an RGB image `(H, W, 3)`."""
        norm, classes = self.model["backbone"], self.model["num_classes"]
        try:
            ids = predict(network, image, norm["mean"], norm["std"], classes, device, name, self.inference)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        except ValueError as error:  # of logits that are not finite; it names the image
            raise InputError(str(error)) from None
        return ids.astype(np.uint8)

    def writer(self, folder: Path, stems: Callable[[str], str]) -> "MaskWriter":
        """Masks and pictures below `folder`."""
        return MaskWriter(folder, stems, self.classes)


class MaskWriter:
    """Index masks with VOC's palette in `masks`, and image and mask side by side in `overlays`."""

    def __init__(self, folder: Path, stems: Callable[[str], str], classes: list[str]) -> None:
        self.folder, self.stems, self.classes = folder, stems, classes

    def add(self, name: str, image: NDArray[np.uint8], found: NDArray[np.uint8]) -> dict[str, Any]:
        """Write both files of an image `(H, W, 3)` with class ids `(H, W)`."""
        files = {"mask": f"{MASKS}/{self.stems(name)}.png", "overlay": f"{OVERLAYS}/{self.stems(name)}.png"}
        panel = draw_panel(image, [("prediction", found)], name, self.classes, ignore_index=-1)
        save_png(index_image(found), self.folder / files["mask"])
        save_png(panel, self.folder / files["overlay"])
        return files

    def finish(self) -> None:
        """Nothing: each image has files of its own."""
