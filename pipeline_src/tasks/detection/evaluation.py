"""Evaluation of detectors: COCO and VOC scores, and drawn detections.

metrics.json: `{"content", "unit": "fraction", "split", "images", "objects", COCO's twelve numbers (`ap`,
`ap50`, ..., `ar_large`), "voc_ap" (11 points), "voc_ap_area", "per_class": {class: {"ap", "ap50",
"ap_small", "ap_medium", "ap_large", "voc_ap", "voc_ap_area"}}, "classes"}`. All scores are fractions in
0..1; null is what is undefined, such as the AP of small objects where there are none.
"""

from pathlib import Path
from typing import Any, ClassVar

import torch

from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.transforms import DetectionEvalTransform
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_ap import COCO_METRICS, PER_CLASS_METRICS, coco_scores
from pipeline_src.evaluation.detect_multi_scale import AtSizes
from pipeline_src.evaluation.detection_overlays import DetectionOverlayWriter
from pipeline_src.evaluation.detection_pass import Complete, OnDetections, collect_detections
from pipeline_src.evaluation.detections import (
    Detections,
    GroundTruth,
    ImageDetections,
    ImageId,
    ImageTruth,
)
from pipeline_src.evaluation.evaluate_params import EvaluateRun
from pipeline_src.evaluation.panels import spread_evenly
from pipeline_src.evaluation.split_pass import EvaluationSplit
from pipeline_src.evaluation.voc_ap import voc_scores
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.provenance.job import Job


class DetectionEvaluation:
    """Scores boxes in the original images; see `evaluate.TaskEvaluation`."""

    packages: ClassVar[tuple[str, ...]] = (
        "torch",
        "torchvision",
        "timm",
        "numpy",
        "pillow",
        "safetensors",
        "pycocotools",
    )
    headline: ClassVar[tuple[str, ...]] = ("ap", "ap50", "voc_ap")
    build = staticmethod(build_detector)
    dataset: ClassVar[type[DetectionDataset]] = DetectionDataset

    def __init__(self, job: Job) -> None:
        """Raises `InputError` for a manifest of other classes or of another task."""
        run, manifest = job.params_as(EvaluateRun), job.input("manifest")
        self.job, self.settings = job, run.evaluation
        self.test = run.model["detector"]["test"]
        Manifest.load(manifest).require_classes(run.data.num_classes)
        scales = self.settings.scales or []
        sizes = [DetectionEvalTransform.of(scale, run.mean, run.std) for scale in scales]
        self.transform = AtSizes(tuple(sizes))
        self.split = self.dataset(manifest, self.settings.split, self.transform)

    @property
    def complete(self) -> Complete | None:
        """What makes of detections what is kept of them; None: they are kept as they are."""
        return None

    def measure(
        self, model: torch.nn.Module, folder: Path, device: torch.device, workers: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Raises `InputError` for a split without an object, and a model that has diverged."""
        split, classes = self.split, list(self.split.classes)
        shown = [split.index.ids[i] for i in spread_evenly(self.settings.overlays, len(split))]
        overlays = DetectionOverlayWriter(folder, shown, classes)

        def draw(index: int, key: ImageId, there: ImageTruth, found: ImageDetections) -> None:
            if key in overlays.numbers:
                overlays(key, split.load(index).permute(1, 2, 0).numpy(), there, found)

        found = self.collect(model, split, device, workers, draw)
        if not len(found[1]):
            raise InputError(f"{self.job.input('manifest')}: split {split.split!r} has no object to find")
        metrics = self.metrics(model, found, device, workers)
        return metrics, overlays.finish()

    def collect(
        self,
        model: torch.nn.Module,
        split: EvaluationSplit,
        device: torch.device,
        workers: int,
        on_detections: OnDetections | None = None,
    ) -> tuple[Detections, GroundTruth]:
        """What `model` finds in a split, and what is there."""
        return collect_detections(
            model,
            split,
            self.split.num_classes,
            device,
            on_detections=on_detections,
            complete=self.complete,
            iou=self.test["nms_iou"],
            limit=self.test["detections"],
            workers=workers,
            title=self.job.name,
        )

    def metrics(
        self,
        model: torch.nn.Module,
        found: tuple[Detections, GroundTruth],
        device: torch.device,
        workers: int,
    ) -> dict[str, Any]:
        """What metrics.json says, without `content`, of what was `found`."""
        return detection_metrics(*found, list(self.split.classes), self.split.split)


def detection_metrics(
    detections: Detections, truth: GroundTruth, classes: list[str], split: str
) -> dict[str, Any]:
    """What metrics.json says, without `content`; `classes` begin with the background."""
    coco, voc = coco_scores(detections, truth), voc_scores(detections, truth)
    return {
        "unit": "fraction",
        "split": split,
        "images": len(truth.images),
        "objects": sum(len(truth[key].label) for key in truth.images),
        **{name: fraction(coco[name]) for name in COCO_METRICS},
        "voc_ap": fraction(voc["map_11_points"]),
        "voc_ap_area": fraction(voc["map_area"]),
        "per_class": {
            name: {
                **{metric: fraction(coco["per_class"][metric][number]) for metric in PER_CLASS_METRICS},
                "voc_ap": fraction(voc["per_class"]["map_11_points"][number]),
                "voc_ap_area": fraction(voc["per_class"]["map_area"][number]),
            }
            for number, name in enumerate(classes[1:])
        },
        "classes": classes,
    }


def fraction(percent: float | None) -> float | None:
    """From percent to 0..1; None stays."""
    return None if percent is None else percent / 100
