"""The model of a run before its first step: the same in every job of the run, trained or only looked at."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pipeline_src.files import read_json
from pipeline_src.provenance.job import Job
from pipeline_src.training.seeding import derive
from pipeline_src.training.start_from_run import start_from_run
from pipeline_src.training.train_params import InitialParameters

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
        start["init_from"] = start_from_run(model, job.input("init_from"))
    return model, start
