"""A tiny data set of boxes in VOC's XML layout, and jobs on it as the planner would write them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Experiments
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.data.read_manifest import IGNORE_INDEX
from pipeline_src.options import to_json
from pipeline_src.provenance.job import Job
from pipeline_src.steps.manifest import make_manifest
from tests.jobs import write_job_file

CLASSES = ["bright", "dark"]
DETECTOR = {
    "kind": "faster_rcnn", "fpn_channels": 16, "frozen_stages": 0, "anchors": {"scale": 4},
    "roi": {"channels": 32, "samples": 32},
    "proposals": {"pre_nms_train": 100, "post_nms_train": 50},
}  # fmt: skip
RECIPE = {
    "optimizer": {"kind": "sgd", "lr": 0.01, "momentum": 0.9},
    "schedule": {"kind": "step", "milestones": [2]},
    "epochs": 3,
    "batch": 2,
    "augment": {"scales": [[96, 64]], "flip": 0.5},
    "validate_every": {"epochs": 1},
}


def overlay(root: Path, **changes: Any) -> dict[str, Any]:
    """A study of one row on the data below `root`; `changes` replace keys of the study."""
    splits = {name: {"images": f"{name}/images", "annotations": f"{name}/xml"} for name in ("train", "val")}
    source = {"kind": "folder", "root": str(root)}
    backbone = {
        "timm": "resnet50.tv_in1k", "weights": "none",
        "args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16]},
    }  # fmt: skip
    study = {
        "title": "boxes",
        "dataset": "tiny",
        "recipe": "tiny",
        "model": {"backbone": "tiny", "detector": DETECTOR},
        "seeds": 1,
        **changes,
    }
    return {
        "select": ["tiny"],
        "compute": {"threads": 1},
        "backbones": {"tiny": backbone},
        "datasets": {"tiny": {"format": "voc_xml", "source": source, "splits": splits, "classes": CLASSES}},
        "recipes": {"tiny": RECIPE},
        "studies": {"tiny": study},
    }


def experiments(root: Path, **changes: Any) -> Experiments:
    """What the study comes to."""
    return expand(load_params(overlays=[Layer("my.yaml", overlay(root, **changes))], scale="smoke"))


def write_data(root: Path) -> Path:
    """Bright and dark squares on grey, upright and lying images; returns the manifest."""
    random = np.random.default_rng(0)
    for split, count in (("train", 7), ("val", 3)):
        for kind in ("images", "xml"):
            (root / split / kind).mkdir(parents=True)
        for number in range(count):
            height, width = ((64, 90), (90, 61))[number % 2]
            image = random.integers(90, 130, (height, width, 3))
            objects = ""
            for label, level in zip(CLASSES, (230, 20), strict=True):
                side = int(random.integers(12, 30))
                x, y = int(random.integers(0, width - side)), int(random.integers(0, height - side))
                image[y : y + side, x : x + side] = level
                objects += (
                    f"<object><name>{label}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
                    f"<xmax>{x + side}</xmax><ymax>{y + side}</ymax></bndbox></object>"
                )
            Image.fromarray(image.astype(np.uint8)).save(root / split / "images" / f"{number}.png")
            size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
            (root / split / "xml" / f"{number}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    spec = overlay(root)["datasets"]["tiny"]
    params = {
        "dataset": "tiny",
        "format": "voc_xml",
        "task": "detection",
        "root": str(root),
        "splits": {name: {**split, "boxes": "pixels"} for name, split in spec["splits"].items()},
        "num_classes": len(CLASSES) + 1,
        "classes": ["background", *CLASSES],
    }
    outputs = {"sidecar": str(root / "manifest.json"), "index": str(root / "index.json")}
    make_manifest(Job("manifest", "tiny", "demo", params, {}, outputs, CODE, "m" * 64), workers=1)
    return root / "manifest.json"


CODE = {"digest": "c", "modules": {}}


def job_file(folder: Path, step: str, params: dict[str, Any], inputs: dict[str, str], *outputs: str) -> Path:
    """A job below `folder`; its outputs are there, too."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {Path(name).stem: str(folder / name) for name in outputs}
    paths["sidecar"] = str(folder / f"{step}.json")
    return write_job_file(folder, step, params, paths, inputs, name="tiny/seed-0")


def run_params(found: Experiments) -> dict[str, Any]:
    """What the jobs of the study's only run share, with the network as a test is told of it."""
    (scoring,) = found.scorings.values()
    data = {"num_classes": scoring.model["num_classes"], "ignore_index": IGNORE_INDEX}
    return {"data": data, "model": scoring.model, "threads": 1, "deterministic": True}


def train_job(folder: Path, root: Path, **changes: Any) -> Path:
    """The job that trains."""
    found = experiments(root, **changes)
    (run,) = found.runs.values()
    params = {**run_params(found), "model": run.model, "recipe": to_json(run.recipe), "seed": 0}
    inputs = {"manifest": str(root / "manifest.json")}
    return job_file(folder, "train", params, inputs, "model.safetensors", "log.csv", "curve.csv")


def evaluate_job(folder: Path, root: Path, **changes: Any) -> Path:
    """The job that evaluates what `train_job` trained in the same folder."""
    found = experiments(root, **changes)
    (scoring,) = found.scorings.values()
    params = {**run_params(found), "evaluation": {**to_json(scoring.evaluation), "split": "val"}}
    inputs = {"manifest": str(root / "manifest.json"), "train": str(folder / "train.json")}
    return job_file(folder, "evaluate", params, inputs, "metrics.json", "overlays")
