"""What a training of a segmentation network is: images with masks, validation, objective, headline score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pipeline_src.components import load
from pipeline_src.data.loader import batch_source
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.data.segmentation.dataset import SegmentationDataset
from pipeline_src.data.segmentation.transform_options import Augment
from pipeline_src.data.segmentation.transforms import EvalTransform, TrainTransform
from pipeline_src.evaluation.segmentation_pass import evaluate_model
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.segmentation.objective import SegmentationObjective
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.engine import Validate
from pipeline_src.training.loss_options import Loss
from pipeline_src.training.preflight import check_crop
from pipeline_src.training.recipe import Recipe
from pipeline_src.training.train_params import TrainRun
from pipeline_src.training.training_job import Data, Parts


@dataclass(frozen=True, kw_only=True)
class SegmentationRecipe(Recipe):
    """A recipe with what this task alone reads of it."""

    augment: Augment
    loss: Loss


def open_data(job: Job, ranks: Ranks, workers: int) -> Data:
    """The training split as batches and the validation split as scores.

    Raises `InputError` when the manifest does not fit the job, or names files that are gone.
    """
    run, manifest = job.params_as(TrainRun), job.input("manifest")
    recipe = job.section_as(SegmentationRecipe, "recipe")
    Manifest.load(manifest).require_classes(run.data.num_classes)
    train = SegmentationDataset(manifest, "train", TrainTransform.of(recipe.augment, run.mean, run.std))
    check_crop(recipe, recipe.augment.crop, run.model, len(train))
    return Data(
        samples=len(train),
        batches=batch_source(train, recipe, run.seed, ranks, workers),
        validate=None if recipe.validate_every is None else _validation(job, run, ranks, workers),
        objective=SegmentationObjective(recipe.loss, run.data.ignore_index),
    )


def _validation(job: Job, run: TrainRun, ranks: Ranks, workers: int) -> Validate:
    split = SegmentationDataset(job.input("manifest"), "val", EvalTransform.of(run.mean, run.std))

    def validate(model: nn.Module) -> Mapping[str, float]:
        scores = evaluate_model(
            model, split, split.num_classes, ranks.device, workers=workers, title=f"{job.name}: validate"
        )
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    return validate


def equalise_run(model: nn.Module, job: Job) -> dict[str, Any]:
    """Apply the statistics of the run's scale equalizers, if it has some, to its initial model.

    Raises `InputError` for statistics of another initialisation, model or data set.
    """
    if "statistics" not in job.inputs:
        return {}
    data = Manifest.load(job.input("manifest")).content
    equalise = load("equalizer.statistics")
    return {"equalizer": equalise(model, job.params_as(TrainRun).model, data, job.input("statistics"))}


TRAINING = Parts(build_segmentor, open_data, equalise_run, headline="miou")
