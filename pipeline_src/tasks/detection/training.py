"""What a training of a detector is: images with boxes, validation, objective, batch norm, headline score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.transform_options import DetectionAugment
from pipeline_src.data.detection.transforms import DetectionEvalTransform, DetectionTrainTransform
from pipeline_src.data.loader import batch_source
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.evaluation.coco_ap import COCO_METRICS, Shapes, coco_scores
from pipeline_src.evaluation.detection_pass import Complete, collect_detections
from pipeline_src.models.build_pyramid import component_of
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.detection.objective import DetectionObjective
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.engine import Validate
from pipeline_src.training.objective import Objective
from pipeline_src.training.recipe import Recipe
from pipeline_src.training.train_params import TrainRun
from pipeline_src.training.training_job import Data, Parts


@dataclass(frozen=True, kw_only=True)
class DetectionRecipe(Recipe):
    """A recipe with what this task alone reads of it."""

    augment: DetectionAugment


@dataclass(frozen=True)
class DetectionReading:
    """How images with objects are read and scored.

    `dataset` is opened for a split, `objective` made of nothing; overlaps are measured of `shapes`, and
    `complete` is what `collect_detections` takes. Scores are COCO's names behind `prefix`.
    """

    dataset: type[DetectionDataset]
    objective: Callable[[], Objective]
    shapes: Shapes = "bbox"
    complete: Complete | None = None
    prefix: str = ""

    def open_data(self, job: Job, ranks: Ranks, workers: int) -> Data:
        """The training split as batches and the validation split as COCO scores, fractions in 0..1.

        Validation is at the last of the training's scales. Raises `InputError` when the manifest does not
        fit the job, names files that are gone, or has no box to train on.
        """
        run, manifest = job.params_as(TrainRun), job.input("manifest")
        recipe = job.section_as(DetectionRecipe, "recipe")
        Manifest.load(manifest).require_classes(run.data.num_classes)
        augment = recipe.augment
        train = self.dataset(
            manifest,
            "train",
            DetectionTrainTransform.of(augment, run.mean, run.std),
            difficult=augment.difficult,
            group_by_aspect=augment.group_by_aspect,
        )
        return Data(
            samples=len(train),
            batches=batch_source(train, recipe, run.seed, ranks, workers),
            validate=None
            if recipe.validate_every is None
            else self._validation(job, run, augment, ranks, workers),
            objective=self.objective(),
        )

    def _validation(
        self, job: Job, run: TrainRun, augment: DetectionAugment, ranks: Ranks, workers: int
    ) -> Validate:
        test = component_of("detector", run.model["detector"])[1].test
        transform = DetectionEvalTransform.of(augment.scales[-1], run.mean, run.std)
        split = self.dataset(job.input("manifest"), "val", transform)

        def validate(model: nn.Module) -> Mapping[str, float]:
            detections, truth = collect_detections(
                model,
                split,
                split.num_classes,
                ranks.device,
                complete=self.complete,
                iou=test.nms_iou,
                limit=test.detections,
                workers=workers,
                title=f"{job.name}: validate",
            )
            scores = coco_scores(detections, truth, self.shapes)
            known = [name for name in COCO_METRICS if scores[name] is not None]
            return {f"{self.prefix}{name}": scores[name] / 100 for name in known}

        return validate


READING = DetectionReading(DetectionDataset, DetectionObjective)

# A detector's BN sees the few images of one GPU, as in the toolboxes whose recipes it follows.
TRAINING = Parts(build_detector, READING.open_data, synchronise_bn=False, headline="ap")
