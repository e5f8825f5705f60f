"""Evaluation of segmentation networks, as step `evaluate` describes it: scores and pictures."""

import shutil
from pathlib import Path
from typing import Any

import torch

from pipeline_src.data.dataset import SegmentationDataset
from pipeline_src.data.transforms import EvalTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.inference import inference_of
from pipeline_src.evaluation.overlays import OverlayWriter
from pipeline_src.evaluation.panels import spread_evenly
from pipeline_src.evaluation.segmentation import evaluate_model
from pipeline_src.evaluation.trained import load_trained
from pipeline_src.files import digest_of, write_json
from pipeline_src.models.build import build_model
from pipeline_src.provenance.job import Job
from pipeline_src.training.runtime import configure, describe_device, peak_memory

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors")


def evaluate(job: Job, device: torch.device, workers: int = 0) -> None:
    """Write metrics.json, the overlays and the sidecar of `job`.

    Raises `InputError` for weights that are not the run's, for a mode that does not exist or lacks its
    window, or for a split without a labelled pixel.
    """
    params = job.params
    settings = configure(threads=params["threads"], deterministic=params["deterministic"], device=device)
    evaluation, data = params["evaluation"], params["data"]
    inference = inference_of(evaluation)
    norm = params["model"]["backbone"]
    dataset = SegmentationDataset(
        job.input("manifest"), evaluation["split"], EvalTransform.of(norm["mean"], norm["std"])
    )
    classes = list(dataset.classes)
    if len(set(classes)) != data["num_classes"]:
        raise InputError(
            f"{job.input('manifest')}: names {len(set(classes))} different classes, the model has "
            f"{data['num_classes']}"
        )
    model = load_trained(params["model"], job.input("train"), device, build_model)

    folder = Path(job.outputs["overlays"])
    shutil.rmtree(folder, ignore_errors=True)
    shown = spread_evenly(evaluation["overlays"], len(dataset))
    overlays = OverlayWriter(folder, shown, classes, norm["mean"], norm["std"], data["ignore_index"])
    scores = evaluate_model(
        model,
        dataset,
        data["num_classes"],
        device,
        on_prediction=overlays,
        ignore_index=data["ignore_index"],
        inference=inference,
        workers=workers,
        title=job.name,
    )
    if scores["miou"] is None:
        raise InputError(f"{job.input('manifest')}: split {evaluation['split']!r} has no labelled pixel")
    metrics = _metrics(scores, classes, evaluation["split"])
    write_json(job.outputs["metrics"], metrics)
    index = overlays.finish()
    job.write_sidecar(
        digest_of([metrics["content"], index["content"]]),
        PACKAGES,
        scores={name: metrics[name] for name in ("miou", "pixel_accuracy", "mean_accuracy")},
        overlays={"folder": str(folder), "images": len(index["images"])},
        settings=settings,
        device=describe_device(device),
        peak_memory_bytes=peak_memory(device),
    )


def _metrics(scores: dict[str, Any], classes: list[str], split: str) -> dict[str, Any]:
    said = {
        "unit": "fraction",
        "split": split,
        **{key: value for key, value in scores.items() if key not in ("per_class_iou", "confusion")},
        "per_class": dict(zip(classes, scores["per_class_iou"], strict=True)),
        "classes": classes,
        "confusion": scores["confusion"],
    }
    return {"content": digest_of(said), **said}
