"""Step `train`: one network on one data set with one recipe and seed, to weights, logs and a sidecar.

    python -m pipeline_src.steps.train JOB.json [--workers N] [--device cpu] [--checkpoint-minutes M]

Started again after a kill or a signal it continues, and on a CPU ends with the same bits. Under
`torchrun --nproc-per-node K -m pipeline_src.steps.train JOB.json` it trains data parallel.
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline_src.components import load
from pipeline_src.data.dataset import SegmentationDataset
from pipeline_src.data.index import Manifest
from pipeline_src.data.loader import training_loader
from pipeline_src.data.transforms import EvalTransform, TrainTransform
from pipeline_src.errors import InputError, run_command
from pipeline_src.evaluation.segmentation import evaluate_model
from pipeline_src.models.build import build_model
from pipeline_src.provenance.job import Job
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.job import Data, Options, Parts, train_job
from pipeline_src.training.objective import Segmentation
from pipeline_src.training.preflight import check_crop
from pipeline_src.training.stopping import SaveInterval
from pipeline_src.training.workers import GuardedDataset


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job of the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", help="job file (JSON)")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes that load images (default: 4 with CUDA, else none of their own)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--work", type=Path, default=Path("work"), help="where checkpoints live (default: work)"
    )
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--checkpoint-minutes", type=float, default=10.0, help="time between two checkpoints")
    often.add_argument(
        "--checkpoint-steps", type=int, help="steps between two checkpoints, instead of a time"
    )
    options = parser.parse_args(arguments)
    if options.checkpoint_steps is not None and options.checkpoint_steps < 1:
        parser.error("--checkpoint-steps: at least 1")

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    interval = SaveInterval(options.checkpoint_minutes, options.checkpoint_steps)
    train_job(
        Job.load(options.job, "train"),
        Parts(build_model, open_data, equalise_run),
        Options(options.workers, options.device, options.work, interval),
    )


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


if __name__ == "__main__":
    run_command(main)
