"""COCO's twelve numbers for boxes or outlines, by pycocotools, from detections and ground truth in memory.

The protocol is pycocotools' own: IoU 0.5 to 0.95 in steps of 0.05, 101 recall thresholds, at most 100
detections per image and class, small below 32x32 pixels of area, large above 96x96.
"""

import io
from collections import defaultdict
from contextlib import redirect_stdout
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval

from pipeline_src.data.instances.outlines import run_lengths
from pipeline_src.evaluation.detections import Detections, GroundTruth, check_images

COCO_METRICS = (
    "ap",
    "ap50",
    "ap75",
    "ap_small",
    "ap_medium",
    "ap_large",
    "ar1",
    "ar10",
    "ar100",
    "ar_small",
    "ar_medium",
    "ar_large",
)
"""In the order of pycocotools' summary. IPG-Net's Table 5 prints ar1, ar10, ar100 as AR, AR50, AR75."""

PER_CLASS_METRICS = ("ap", "ap50", "ap_small", "ap_medium", "ap_large")


Shapes = Literal["bbox", "segm"]
"""What overlaps are measured of: boxes or outlines, in pycocotools' words."""


def coco_scores(detections: Detections, truth: GroundTruth, shapes: Shapes = "bbox") -> dict[str, Any]:
    """The twelve numbers of `COCO_METRICS` in percent, over all images of `truth`.

    Also `per_class`: for each of `PER_CLASS_METRICS` a list over labels 1, 2, ...;
    `classes_without_truth`: labels that have no object to be found; `images`; `detections`. Means leave
    out classes (of a size) without an object; where none has one, the value is None.

    Crowds are ignored as COCO defines it: any number of detections inside one count neither way. A
    difficult object (VOC) is ignored too, and excuses the one detection that matches it best. Data sets
    without masks have the area of the box (`GroundTruth.add`). With `shapes` `segm`, all have outlines.

    Raises `InputError` for detections of an image that `truth` does not have, and where it has none.
    """
    check_images(detections, truth)
    evaluation = _Evaluation(detections, truth, shapes)
    with redirect_stdout(io.StringIO()):  # pycocotools reports its progress there
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # precision is (IoU, recall, class, area, detections per image): -1 for a class without objects
    precision = evaluation.eval["precision"][..., -1]
    per_class = {
        "ap": precision[..., 0],
        "ap50": precision[:1, ..., 0],
        "ap_small": precision[..., 1],
        "ap_medium": precision[..., 2],
        "ap_large": precision[..., 3],
    }
    overall = per_class["ap"][0, 0]
    return {
        "unit": "percent",
        **{name: _percent(value) for name, value in zip(COCO_METRICS, evaluation.stats, strict=True)},
        "per_class": {name: _class_means(values) for name, values in per_class.items()},
        "classes_without_truth": [label for label, value in enumerate(overall, start=1) if value < 0],
        "images": len(truth.images),
        "detections": len(detections),
    }


class _Evaluation(COCOeval):
    """COCOeval on arrays; images and boxes are numbered here, since ids may be names.

    pycocotools takes a box with id 0 for an unmatched one, so ids begin at 1.
    """

    def __init__(self, detections: Detections, truth: GroundTruth, shapes: Shapes):
        super().__init__(iouType=shapes)
        self._detections, self._truth, self._outlined = detections, truth, shapes == "segm"
        self.params.imgIds = list(range(len(truth.images)))
        self.params.catIds = list(range(1, truth.num_classes))

    def _prepare(self) -> None:
        self._gts, self._dts = defaultdict(list), defaultdict(list)
        self.evalImgs: Any = []
        self.eval: dict[str, Any] = {}
        truths = found = 0
        for number, image_id in enumerate(self._truth.images):
            objects = self._truth[image_id]
            for place, (label, bbox, area, crowd, difficult) in enumerate(
                _rows(objects.label, objects.bbox, objects.area, objects.crowd, objects.difficult)
            ):
                truths += 1
                self._gts[number, label].append(
                    {
                        "id": truths,
                        "bbox": bbox,
                        "area": area,
                        "iscrowd": int(crowd),
                        "ignore": int(crowd or difficult),
                        **self._outline(objects, objects.size, place),
                    }
                )
            if image_id not in self._detections:
                continue
            part = self._detections[image_id]
            for place, (label, bbox, score) in enumerate(_rows(part.label, part.bbox, part.score)):
                found += 1
                outline = self._outline(part, objects.size, place)
                area = coco_mask.area(outline["segmentation"]) if outline else bbox[2] * bbox[3]
                row = {"id": found, "bbox": bbox, "area": float(area), "score": score, **outline}
                self._dts[number, label].append(row)

    def _outline(self, part: Any, size: tuple[int, int], place: int) -> dict[str, Any]:
        return {"segmentation": run_lengths(part.outline[place], size)} if self._outlined else {}


def _rows(*columns: NDArray[Any]) -> Any:
    return zip(*(column.tolist() for column in columns), strict=True)


def _percent(value: float) -> float | None:
    return None if value < 0 else 100 * float(value)


def _class_means(precision: NDArray[np.float64]) -> list[float | None]:
    """Means over (IoU, recall) of `(T, R, C)`, by class."""
    return [_percent(value) for value in precision.mean(axis=(0, 1))]
