"""Evaluation of segmentation networks: intersection over union, and pictures of predicted masks.

metrics.json: `{"content", "unit": "fraction", "split", "images", "pixels", "ignored_pixels", "miou",
"pixel_accuracy", "mean_accuracy", "per_class": {class name: IoU or null}, "classes",
"confusion": [true][predicted]}`. All scores are fractions in 0..1; null is what is undefined, such
as the IoU of a class that neither occurs nor is predicted.
"""

from pathlib import Path
from typing import Any

import torch

from pipeline_src.data.read_manifest import Manifest
from pipeline_src.data.segmentation.dataset import SegmentationDataset
from pipeline_src.data.segmentation.transforms import EvalTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.evaluate_params import EvaluateRun
from pipeline_src.evaluation.inference import inference_of
from pipeline_src.evaluation.panels import spread_evenly
from pipeline_src.evaluation.segmentation_overlays import OverlayWriter
from pipeline_src.evaluation.segmentation_pass import evaluate_model
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.provenance.environment import TRAINING_PACKAGES
from pipeline_src.provenance.job import Job


class SegmentationEvaluation:
    """Scores masks at the images' own sizes; see `evaluate.TaskEvaluation`."""

    packages = TRAINING_PACKAGES
    headline = ("miou", "pixel_accuracy", "mean_accuracy")
    build = staticmethod(build_segmentor)

    def __init__(self, job: Job) -> None:
        """Raises `InputError` for a manifest of other classes."""
        self.job, self.run = job, job.params_as(EvaluateRun)
        self.settings = self.run.evaluation
        self.inference = inference_of(self.settings)
        manifest = job.input("manifest")
        Manifest.load(manifest).require_classes(self.run.data.num_classes)
        transform = EvalTransform.of(self.run.mean, self.run.std)
        self.split = SegmentationDataset(manifest, self.settings.split, transform)

    def measure(
        self, model: torch.nn.Module, folder: Path, device: torch.device, workers: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Raises `InputError` for a split without a labelled pixel."""
        classes, ignore_index = list(self.split.classes), self.run.data.ignore_index
        shown = spread_evenly(self.settings.overlays, len(self.split))
        overlays = OverlayWriter(folder, shown, classes, self.run.mean, self.run.std, ignore_index)
        scores = evaluate_model(
            model,
            self.split,
            self.run.data.num_classes,
            device,
            on_prediction=overlays,
            ignore_index=ignore_index,
            inference=self.inference,
            workers=workers,
            title=self.job.name,
        )
        if scores["miou"] is None:
            where = f"{self.job.input('manifest')}: split {self.split.split!r}"
            raise InputError(f"{where} has no labelled pixel")
        return segmentation_metrics(scores, classes, self.split.split), overlays.finish()


def segmentation_metrics(scores: dict[str, Any], classes: list[str], split: str) -> dict[str, Any]:
    """What metrics.json says, from the scores of `evaluate_model`."""
    return {
        "unit": "fraction",
        "split": split,
        **{key: value for key, value in scores.items() if key not in ("per_class_iou", "confusion")},
        "per_class": dict(zip(classes, scores["per_class_iou"], strict=True)),
        "classes": classes,
        "confusion": scores["confusion"],
    }
