"""Evaluation of detectors that draw masks: COCO's scores, Cityscapes' AP, and the gap to train.

metrics.json: as that of detection, and COCO's twelve numbers of masks (`mask_ap`, `mask_ap50`, ...),
`cityscapes_ap` and `cityscapes_ap50` (null unless the annotations are Cityscapes' instance ids),
`train_mask_ap` of `train_images` images of split train, and `mask_ap_gap`, that less `mask_ap`. `per_class`
has the masks' AP, too.
"""

from pathlib import Path
from typing import Any

import torch

from pipeline_src.data.instances.dataset import InstanceDataset
from pipeline_src.data.records import Record, take
from pipeline_src.evaluation.cityscapes_ap import cityscapes_scores
from pipeline_src.evaluation.coco_ap import COCO_METRICS, PER_CLASS_METRICS, coco_scores
from pipeline_src.evaluation.detection_pass import Complete
from pipeline_src.evaluation.detections import Detections, GroundTruth, ImageId
from pipeline_src.evaluation.paste_masks import outlined
from pipeline_src.tasks.detection.evaluation import DetectionEvaluation, detection_metrics, fraction

MASK_METRICS = tuple(f"mask_{name}" for name in COCO_METRICS)


class Part:
    """Some items of a split, by their places."""

    def __init__(self, split: InstanceDataset, places: list[int]) -> None:
        self.split, self.places = split, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.split[self.places[index]]


class InstanceEvaluation(DetectionEvaluation):
    """Scores boxes and masks in the original images; see `evaluate.TaskEvaluation`."""

    packages = (*DetectionEvaluation.packages, "cityscapesscripts")
    headline = ("mask_ap", "mask_ap50", "ap")
    dataset = InstanceDataset
    split: InstanceDataset

    @property
    def complete(self) -> Complete:
        """Masks become outlines in the original image."""
        return outlined

    def metrics(
        self,
        model: torch.nn.Module,
        found: tuple[Detections, GroundTruth],
        device: torch.device,
        workers: int,
    ) -> dict[str, Any]:
        """Those of boxes and of masks, and of a part of split train as large as this one."""
        detections, truth = found
        classes = list(self.split.classes)
        said = detection_metrics(detections, truth, classes, self.split.split)
        masks = coco_scores(detections, truth, "segm")
        for number, name in enumerate(classes[1:]):
            said["per_class"][name] |= {
                f"mask_{metric}": fraction(masks["per_class"][metric][number]) for metric in PER_CLASS_METRICS
            }
        scores = {
            name: fraction(masks[metric]) for name, metric in zip(MASK_METRICS, COCO_METRICS, strict=True)
        }
        return {
            **said,
            **scores,
            **self._cityscapes(detections),
            **self._gap(model, masks["ap"], device, workers),
        }

    def _cityscapes(self, detections: Detections) -> dict[str, float | None]:
        index = self.split.index
        if not index.label_ids:
            return {"cityscapes_ap": None, "cityscapes_ap50": None}
        files: dict[ImageId, Path] = {
            key: (index.root / file).resolve() for key, file in zip(index.ids, index.annotations, strict=True)
        }
        scores = cityscapes_scores(detections, files, index.label_ids)
        return {"cityscapes_ap": fraction(scores["ap"]), "cityscapes_ap50": fraction(scores["ap50"])}

    def _gap(
        self, model: torch.nn.Module, mask_ap: float | None, device: torch.device, workers: int
    ) -> dict[str, float | int | None]:
        train = InstanceDataset(self.job.input("manifest"), "train", self.transform)
        part = fixed_part(train, len(self.split))
        scores = coco_scores(*self.collect(model, part, device, workers), "segm")
        there = scores["ap"]
        return {
            "train_images": len(part),
            "train_mask_ap": fraction(there),
            "mask_ap_gap": None if there is None or mask_ap is None else fraction(there - mask_ap),
        }


def fixed_part(split: InstanceDataset, size: int) -> Part:
    """At most `size` items of a split, the same for every run (`data.records.take`)."""
    index = split.index
    records = [Record(*files) for files in zip(index.ids, index.images, index.annotations, strict=True)]
    chosen = {record.id for record in take(records, size)}
    return Part(split, [place for place, key in enumerate(index.ids) if key in chosen])
