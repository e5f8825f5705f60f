"""Tiny runs of every task that look trained: real manifests, random weights, a training's record."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from pipeline_src.components import load
from pipeline_src.config.experiments import Scoring
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.files import digest_of, write_json, write_text
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.steps.evaluate import evaluate
from pipeline_src.steps.manifest import make_manifest
from tests.conftest import PROJECT
from tests.models.miniatures import randomise

OVERLAY = "my.yaml"
SIZES = {"train": [(48, 40), (40, 48)], "val": [(70, 51), (45, 64), (64, 64)]}
"""Width and height of the images."""
BACKBONE = {
    "timm": "resnet50.tv_in1k", "weights": "none",
    "args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16]},
}  # fmt: skip
SEGMENTOR = {
    "backbone": "tiny",
    "pyramid": {"kind": "dfp", "depth": 1, "scales": [1.0, 0.5]},
    "decoder": {"kind": "fcn", "channels": 8},
}
DETECTOR = {
    "kind": "faster_rcnn", "fpn_channels": 16, "frozen_stages": 0, "frozen_norm": False,
    "anchors": {"scale": 4}, "roi": {"channels": 32},
    "test": {"score": 0.0, "detections": 9},
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "segmentation": SEGMENTOR,
    "detection": {"backbone": "tiny", "pyramid": {"kind": "ipg"}, "detector": DETECTOR},
    "instances": {
        "backbone": "tiny",
        "merge": {"kind": "deepfuse"},
        "detector": {**DETECTOR, "kind": "mask_rcnn", "masks": {"channels": 8, "layers": 1}},
    },
}
CLASSES = {
    "segmentation": ["ground", "water", "sky"],
    "detection": ["cup", "pen"],
    "instances": ["cup", "pen"],
}


def pretend_training(graph: GraphBuilder, scoring: Scoring) -> None:
    """Leave what the training of a run leaves, with random weights."""
    training = graph.training(graph.experiments.runs[scoring.run])
    torch.manual_seed(3)
    network = randomise(load(f"evaluation.{scoring.model['task']}").build(scoring.model, None))
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    Path(training.outputs["model"]).parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, training.outputs["model"])
    for name in ("log", "curve"):
        write_text(training.outputs[name], "step\n")
    graph.plan.as_job(training).write_sidecar(digest_of("trained"))


class FinishedRun:
    """A run of a task, trained as it seems, in the working directory `root`."""

    def __init__(self, task: str, root: Path, model: dict[str, Any] | None = None) -> None:
        self.task, self.root, self.data = task, root, root / "images"
        self.model = model or MODELS[task]
        shutil.copy(PROJECT / "params.yaml", root)
        (root / OVERLAY).write_text(yaml.safe_dump(self._overlay()))
        self._draw()
        params = load_params(overlays=[Layer(OVERLAY, self._overlay())], scale="smoke")
        self.graph = GraphBuilder(params)
        (self.scoring,) = self.graph.experiments.scorings.values()
        self.evaluation = self.graph.evaluation(self.scoring)

    @property
    def name(self) -> str:
        return self.scoring.name

    def train(self) -> None:
        """Leave what a training leaves, with random weights, and a real manifest."""
        plan = self.graph.plan
        (manifest,) = plan.of("manifest")
        make_manifest(plan.as_job(manifest), workers=1)
        pretend_training(self.graph, self.scoring)

    def evaluate(self) -> dict[str, str]:
        """Do the run's evaluation; its outputs."""
        evaluate(self.graph.plan.as_job(self.evaluation), "cpu", workers=0)
        return self.evaluation.outputs

    def _overlay(self) -> dict[str, Any]:
        masks = self.task == "segmentation"
        kind = "masks" if masks else "coco_json" if self.task == "detection" else "coco_json_instances"
        recipe = {
            "optimizer": {"kind": "sgd", "lr": 0.01}, "schedule": {"kind": "poly"},
            "epochs": 1, "batch": 2,
            "augment": {"crop": [32, 32]} if masks else {"scales": [[96, 64]]},
        }  # fmt: skip
        splits = {
            split: {"images": f"images/{split}", "masks": f"masks/{split}"}
            if masks
            else {"images": f"images/{split}", "annotations": f"{split}.json"}
            for split in SIZES
        }
        dataset = {
            "format": kind, "source": {"kind": "folder", "root": str(self.root)},
            "splits": splits, "classes": CLASSES[self.task],
        }  # fmt: skip
        study = {"title": "x", "dataset": "tiny", "recipe": "tiny", "model": self.model, "seeds": 1}
        return {
            "select": ["tiny"], "compute": {"threads": 1},
            "backbones": {"tiny": BACKBONE}, "datasets": {"tiny": dataset},
            "recipes": {"tiny": recipe}, "studies": {"tiny": study},
        }  # fmt: skip

    def _draw(self) -> None:
        random = np.random.default_rng(0)
        for split, sizes in SIZES.items():
            for kind in ("images", "masks"):
                (self.root / kind / split).mkdir(parents=True)
            listed: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
            for number, (width, height) in enumerate(sizes):
                pixels = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(self.root / "images" / split / f"{number}.png")
                mask = random.integers(0, 3, (height, width)).astype(np.uint8)
                Image.fromarray(mask).save(self.root / "masks" / split / f"{number}.png")
                listed["images"].append(
                    {"id": number, "file_name": f"{number}.png", "width": width, "height": height}
                )
                listed["annotations"].append(
                    {
                        "id": number, "image_id": number, "category_id": 1, "bbox": [4, 5, 12, 9],
                        "area": 108, "iscrowd": 0, "segmentation": [[4, 5, 16, 5, 16, 14, 4, 14]],
                    }
                )  # fmt: skip
            categories = [{"id": one, "name": name} for one, name in enumerate(CLASSES["detection"], 1)]
            write_json(self.root / f"{split}.json", {**listed, "categories": categories})
