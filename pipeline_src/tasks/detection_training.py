"""Training of detectors: data, objective and validation."""

from collections.abc import Iterator, Mapping

from torch import nn

from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.loader import detection_loader
from pipeline_src.data.detection.transforms import DetectionEvalTransform, DetectionTrainTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_ap import COCO_METRICS, coco_scores
from pipeline_src.evaluation.detection import collect_detections
from pipeline_src.models.detectors.build import build_detector
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.detection_objective import Batch, Detection
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.job import Data, Parts
from pipeline_src.training.workers import GuardedDataset


def open_detection_data(job: Job, ranks: Ranks, workers: int) -> Data:
    """The training split as batches and the validation split as COCO scores, fractions in 0..1.

    Validation is at the last of the training's scales. Raises `InputError` when the manifest does not fit
    the job, names files that are gone, or has no box to train on.
    """
    params, recipe, manifest = job.params, job.params["recipe"], job.input("manifest")
    augment, norm = recipe["augment"], params["model"]["backbone"]
    mean, std = norm["mean"], norm["std"]
    transform = DetectionTrainTransform.of(augment, mean, std)
    train = DetectionDataset(manifest, "train", transform, difficult=augment["difficult"])
    if train.num_classes != params["data"]["num_classes"]:
        raise InputError(
            f"{manifest}: has {train.num_classes} classes with background, the job says "
            f"{params['data']['num_classes']}; plan the job again"
        )

    def batches(first_step: int, total_steps: int) -> Iterator[Batch]:
        return detection_loader(
            GuardedDataset(train),
            landscape=train.landscape() if augment["group_by_aspect"] else None,
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
        return Data(len(train), batches, None, Detection())
    tested = DetectionEvalTransform.of(augment["scales"][-1], mean, std)
    val = GuardedDataset(DetectionDataset(manifest, "val", tested))
    test = params["model"]["detector"]["test"]

    def validate(model: nn.Module) -> Mapping[str, float]:
        detections, truth = collect_detections(
            model,
            val,
            train.num_classes,
            ranks.device,
            iou=test["nms_iou"],
            limit=test["detections"],
            workers=workers,
            title=f"{job.name}: validate",
        )
        scores = coco_scores(detections, truth)
        return {name: scores[name] / 100 for name in COCO_METRICS if scores[name] is not None}

    return Data(len(train), batches, validate, Detection())


# A detector's BN sees the few images of one GPU, as in the toolboxes whose recipes it follows.
PARTS = Parts(build_detector, open_detection_data, synchronise_bn=False)
