"""Training of segmentation networks: data, objective, validation, and what completes the initial model."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from pipeline_src.components import load
from pipeline_src.data.dataset import SegmentationDataset
from pipeline_src.data.index import Manifest
from pipeline_src.data.loader import training_loader
from pipeline_src.data.transforms import EvalTransform, TrainTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.segmentation import evaluate_model
from pipeline_src.models.build import build_model
from pipeline_src.provenance.job import Job
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.job import Data, Parts
from pipeline_src.training.objective import Segmentation
from pipeline_src.training.preflight import check_crop
from pipeline_src.training.workers import GuardedDataset


def open_data(job: Job, ranks: Ranks, workers: int) -> Data:
    """The training split as batches and the validation split as scores.

    Raises `InputError` when the manifest does not fit the job, or names files that are gone.
    """
    params, recipe, manifest = job.params, job.params["recipe"], job.input("manifest")
    mean, std = params["model"]["backbone"]["mean"], params["model"]["backbone"]["std"]
    train = SegmentationDataset(manifest, "train", TrainTransform.of(recipe["augment"], mean, std))
    if train.num_classes != params["data"]["num_classes"]:
        raise InputError(
            f"{manifest}: has {train.num_classes} classes, the job says {params['data']['num_classes']}; "
            "plan the job again"
        )
    check_crop(recipe, params["model"], len(train))
    objective = Segmentation(recipe["loss"], params["data"]["ignore_index"])

    def batches(first_step: int, total_steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return training_loader(
            GuardedDataset(train),
            seed=params["seed"],
            batch=recipe["batch"],
            rank=ranks.rank,
            world=ranks.world,
            start_step=first_step,
            total_steps=total_steps,
            workers=workers,
            drop_last=recipe["drop_last"],
            pin_memory=ranks.device.type == "cuda",
        )

    if recipe["validate_every"] is None:
        return Data(len(train), batches, None, objective)
    val = GuardedDataset(SegmentationDataset(manifest, "val", EvalTransform.of(mean, std)))

    def validate(model: nn.Module) -> Mapping[str, float]:
        scores = evaluate_model(
            model, val, train.num_classes, ranks.device, workers=workers, title=f"{job.name}: validate"
        )
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    return Data(len(train), batches, validate, objective)


def equalise_run(model: nn.Module, job: Job) -> dict[str, Any]:
    """Apply the statistics of the run's scale equalizers, if it has some, to its initial model.

    Raises `InputError` for statistics of another initialisation, model or data set.
    """
    if "statistics" not in job.inputs:
        return {}
    data = Manifest.load(job.input("manifest")).content
    equalise = load("equalizer.statistics")
    return {"equalizer": equalise(model, job.params["model"], data, job.input("statistics"))}


PARTS = Parts(build_model, open_data, equalise_run)
