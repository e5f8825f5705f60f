"""A tiny data set in a user's own format, its manifest, and a train job with the real model and data code."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline_src.errors import run_command
from pipeline_src.provenance.job import Job
from pipeline_src.running.run_job import main
from pipeline_src.steps.manifest import make_manifest
from tests.jobs import write_job_file
from tests.training.toy_training import recipe

CLASSES = 4
MODEL = {
    "task": "segmentation",
    "num_classes": CLASSES,
    "backbone": {
        "timm": "resnet50.tv_in1k",
        "family": "resnet",
        "weights": "none",
        "args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 32, 64]},
        "output_stride": 32,
        "out_norm": False,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
    "pyramid": {
        "kind": "dfp",
        "depth": 2,
        "scales": [1.0, 0.75, 0.5],
        "split": "before_downsampling",
        "encoder": "per_branch",
    },
    "decoder": {"kind": "fcn", "channels": 0, "num_convs": 0, "concat_input": False, "dropout": 0.1},
}


def write_data(folder: Path) -> Path:
    """Images and masks of odd sizes with an extra id for unlabelled pixels; returns the manifest."""
    random = np.random.default_rng(0)
    for split, count in (("train", 7), ("val", 3)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(count):
            height, width = random.integers(40, 90, 2)
            blocks = random.integers(0, CLASSES + 1, (height // 32 + 1, width // 32 + 1))
            mask = blocks.repeat(32, 0).repeat(32, 1)[:height, :width].astype(np.uint8)
            image = (mask[..., None] * 50 + random.integers(0, 50, (height, width, 3))).astype(np.uint8)
            Image.fromarray(image).save(folder / split / "images" / f"{number}.png")
            Image.fromarray(mask).save(folder / split / "masks" / f"{number}.png")
    params = {
        "dataset": "own",
        "format": "masks",
        "root": str(folder),
        "splits": {s: {"images": f"{s}/images", "masks": f"{s}/masks"} for s in ("train", "val")},
        "num_classes": CLASSES,
        "classes": [f"class {number}" for number in range(CLASSES)],
        "ignore_index": CLASSES,
    }
    outputs = {"sidecar": str(folder / "manifest.json"), "index": str(folder / "index.json")}
    code = {"digest": "c", "modules": {}}
    make_manifest(Job("manifest", "own", "demo", params, {}, outputs, code, "m" * 64), workers=1)
    return folder / "manifest.json"


def write_real_job(folder: Path, manifest: Path, model: dict[str, Any] = MODEL, **changes: Any) -> Path:
    """A train job below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "results"
    changes = {
        "augment": {"resize": {"ratio": [0.5, 2.0]}, "crop": [64, 48], "flip": 0.5},
        "validate_every": {"epochs": 1},
        "batch": 2,
        **changes,
    }
    job = {
        "step": "train",
        "name": "dfp/depth-2/seed-0",
        "scale": "demo",
        "params": {
            "data": {"num_classes": CLASSES, "ignore_index": 255},
            "model": model,
            "recipe": recipe(**changes),
            "seed": 0,
            "threads": 1,
            "deterministic": True,
        },
        "inputs": {"manifest": str(manifest)},
        "outputs": {
            "sidecar": str(out / "train.json"),
            "model": str(out / "model.safetensors"),
            "log": str(out / "log.csv"),
            "curve": str(out / "curve.csv"),
        },
        "digest": "a" * 64,
    }
    return write_job_file(folder, **job)


def command(job: Path, *options: str) -> list[str]:
    """Arguments of the step that keep its state beside the job."""
    return [str(job), "--device", "cpu", "--work", str(job.parent / "work"), *options]


def run_step(job: Path, *options: str) -> None:
    """The step as its command, in this process; exits with the command's status."""
    run_command(lambda: main(command(job, *options)))
