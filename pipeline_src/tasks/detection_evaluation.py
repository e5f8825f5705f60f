"""Evaluation of detectors, as step `evaluate` describes it: COCO and VOC scores, and drawn detections.

metrics.json: `{"content", "unit": "fraction", "split", "images", "objects", COCO's twelve numbers (`ap`,
`ap50`, ..., `ar_large`), "voc_ap" (11 points), "voc_ap_area", "per_class": {class: {"ap", "ap50",
"ap_small", "ap_medium", "ap_large", "voc_ap", "voc_ap_area"}}, "classes"}`. All scores are fractions in
0..1; null is what is undefined, such as the AP of small objects where there are none.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.transforms import DetectionEvalTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_ap import COCO_METRICS, PER_CLASS_METRICS, coco_scores
from pipeline_src.evaluation.detection import collect_detections
from pipeline_src.evaluation.detection_overlays import DetectionOverlayWriter
from pipeline_src.evaluation.detections import (
    Detections,
    GroundTruth,
    ImageDetections,
    ImageId,
    ImageTruth,
)
from pipeline_src.evaluation.multi_scale import AtSizes
from pipeline_src.evaluation.panels import spread_evenly
from pipeline_src.evaluation.trained import load_trained
from pipeline_src.evaluation.voc_ap import voc_scores
from pipeline_src.files import digest_of, write_json
from pipeline_src.models.detectors.build import build_detector
from pipeline_src.provenance.job import Job
from pipeline_src.training.runtime import configure, describe_device, peak_memory

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "pycocotools")


def evaluate_detector(job: Job, device: torch.device, workers: int = 0) -> None:
    """Write metrics.json, the drawn detections and the sidecar of `job`.

    Raises `InputError` for weights that are not the run's, a manifest of other classes, a split without
    objects, or a model that has diverged.
    """
    params = job.params
    settings = configure(threads=params["threads"], deterministic=params["deterministic"], device=device)
    evaluation, classes_with_background = params["evaluation"], params["data"]["num_classes"]
    norm, test = params["model"]["backbone"], params["model"]["detector"]["test"]
    sizes = tuple(
        DetectionEvalTransform.of(scale, norm["mean"], norm["std"]) for scale in evaluation["scales"]
    )
    dataset = DetectionDataset(job.input("manifest"), evaluation["split"], AtSizes(sizes))
    if dataset.num_classes != classes_with_background:
        raise InputError(
            f"{job.input('manifest')}: has {dataset.num_classes} classes with background, the model has "
            f"{classes_with_background}"
        )
    model = load_trained(params["model"], job.input("train"), device, build_detector)

    folder = Path(job.outputs["overlays"])
    shutil.rmtree(folder, ignore_errors=True)
    shown = [dataset.index.ids[i] for i in spread_evenly(evaluation["overlays"], len(dataset))]
    overlays = DetectionOverlayWriter(folder, shown, list(dataset.classes))

    def draw(index: int, key: ImageId, there: ImageTruth, found: ImageDetections) -> None:
        if key in overlays.numbers:
            overlays(key, dataset.load(index).permute(1, 2, 0).numpy(), there, found)

    detections, truth = collect_detections(
        model,
        dataset,
        dataset.num_classes,
        device,
        on_detections=draw,
        iou=test["nms_iou"],
        limit=test["detections"],
        workers=workers,
        title=job.name,
    )
    metrics = detection_metrics(detections, truth, list(dataset.classes), evaluation["split"])
    if metrics["objects"] == 0:
        raise InputError(f"{job.input('manifest')}: split {evaluation['split']!r} has no object to find")
    write_json(job.outputs["metrics"], metrics)
    index = overlays.finish()
    job.write_sidecar(
        digest_of([metrics["content"], index["content"]]),
        PACKAGES,
        scores={name: metrics[name] for name in ("ap", "ap50", "voc_ap")},
        overlays={"folder": str(folder), "images": len(index["images"])},
        settings=settings,
        device=describe_device(device),
        peak_memory_bytes=peak_memory(device),
    )


def detection_metrics(
    detections: Detections, truth: GroundTruth, classes: list[str], split: str
) -> dict[str, Any]:
    """What metrics.json says; `classes` begin with the background."""
    coco, voc = coco_scores(detections, truth), voc_scores(detections, truth)
    said = {
        "unit": "fraction",
        "split": split,
        "images": len(truth.images),
        "objects": sum(len(truth[key].label) for key in truth.images),
        **{name: _fraction(coco[name]) for name in COCO_METRICS},
        "voc_ap": _fraction(voc["map_11_points"]),
        "voc_ap_area": _fraction(voc["map_area"]),
        "per_class": {
            name: {
                **{metric: _fraction(coco["per_class"][metric][number]) for metric in PER_CLASS_METRICS},
                "voc_ap": _fraction(voc["per_class"]["map_11_points"][number]),
                "voc_ap_area": _fraction(voc["per_class"]["map_area"][number]),
            }
            for number, name in enumerate(classes[1:])
        },
        "classes": classes,
    }
    return {"content": digest_of(said), **said}


def _fraction(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
