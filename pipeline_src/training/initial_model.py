"""The model of a run before its first step: the same in every job of the run, trained or only looked at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline_src.files import read_json
from pipeline_src.provenance.job import Job
from pipeline_src.training.seeding import derive
from pipeline_src.training.train_params import InitialParameters
from pipeline_src.training.weight_files import load_matching

BuildModel = Callable[[dict[str, Any], str | None], nn.Module]
"""From a resolved model section and a weights file, if there is one, to a model."""


def initial_model(
    job: Job, run: InitialParameters, build_model: BuildModel
) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a run's parameters and of a job's weights before anything else, on the CPU, and where
    its weights came from: the same in every job of one run.
    """
    fetched = read_json(job.input("weights")) if "weights" in job.inputs else {}
    weights = fetched.get("path")
    torch.manual_seed(derive(run.seed, "init"))
    model = build_model(run.model, weights)
    start: dict[str, Any] = {
        "backbone_file": weights,
        "backbone_source": fetched.get("source") or fetched.get("origin"),
        "init_from": None,
    }
    if "init_from" in job.inputs:
        path = _weights_of_run(job.input("init_from"))
        start["init_from"] = {"path": str(path), **load_matching(model, path)}
    return model, start


def _weights_of_run(path: str) -> Path:
    """The weights file that an earlier run's sidecar names, or the path itself."""
    if Path(path).suffix != ".json":
        return Path(path)
    return Path(read_json(path)["outputs"]["model"]["path"])
