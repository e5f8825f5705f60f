"""Calibration and probe jobs of one small run, on the tiny data set of the training tests."""

from pathlib import Path
from typing import Any

from tests.jobs import write_job_file
from tests.training.real_training import CLASSES

BATCHES = 3


def write_job(folder: Path, step: str, manifest: Path, model: dict[str, Any], **changes: Any) -> Path:
    """A job `calibrate` or `probe` below `folder`, 64x48 crops, batches of two of the seven images.

    `changes` are those of its parameters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = "statistics" if step == "calibrate" else "probe"
    params = {
        "data": {"num_classes": CLASSES, "ignore_index": 255},
        "model": {**model, "num_classes": CLASSES},
        "recipe": {
            "batch": 2,
            "accumulate": 1,
            "augment": {"resize": {"ratio": [0.5, 2.0]}, "crop": [64, 48], "flip": 0.5},
            "freeze_bn_at_epoch": None,
        },
        "seed": 0,
        "threads": 1,
        "deterministic": True,
    }
    inputs = {"manifest": str(manifest)}
    if step == "probe":
        params |= {
            "batches": BATCHES,
            "recipe": {**params["recipe"], "loss": {"reduction": "labelled_pixels"}},
        }
        inputs["statistics"] = str(folder / "statistics.json")
    job = {
        "step": step,
        "name": "scale/uper/seed-0",
        "scale": "demo",
        "params": {**params, **changes},
        "inputs": inputs,
        "outputs": {
            "sidecar": str(folder / f"{step}.sidecar.json"),
            result: str(folder / f"{result}.json"),
        },
        "digest": "a" * 64,
    }
    return write_job_file(folder, **job)
