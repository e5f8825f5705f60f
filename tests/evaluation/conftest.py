"""A tiny VOC2012 folder, its manifest, and a randomly initialised run, all below the working directory."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pipeline_src.files import digest_file
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.steps.manifest import make_manifest
from tests.evaluation.tiny_run import CLASSES, MODEL, make_job, write_voc


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Working directory with `voc/`, `manifest.json` and a run's `train.json`; yields the model."""
    monkeypatch.chdir(tmp_path)
    write_voc(tmp_path / "voc" / "VOCdevkit" / "VOC2012")
    manifest_job = make_job(
        "manifest",
        {
            "dataset": "voc2012",
            "format": "voc2012",
            "root": str(tmp_path / "voc"),
            "splits": {"val": {"set": "val"}},
            "num_classes": len(CLASSES),
            "classes": CLASSES,
            "ignore_index": 255,
        },
        {},
        {"sidecar": "manifest.json", "index": "index.json"},
    )
    make_manifest(manifest_job, workers=1)
    torch.manual_seed(0)
    model = build_segmentor(MODEL, None).eval()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, "model.safetensors")
    weights = {"path": "model.safetensors", "sha256": digest_file("model.safetensors")}
    (tmp_path / "train.json").write_text(json.dumps({"content": "t", "outputs": {"model": weights}}))
    return model
