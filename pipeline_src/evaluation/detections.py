"""Detections and ground truth of a split, image by image: what every detection score is made from.

Both collections can be merged, so that ranks share a split, and are read in the order of the image
ids, so that no score depends on who saw which image. Boxes come in as `(n, 4)` xyxy in pixels of the
original image and are kept as COCO writes them, xywh. Labels count from 1, and `num_classes`
is one more than the largest, since 0 is the background, as torchvision's detectors have it. NumPy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline_src.errors import InputError

ImageId = int | str
"""COCO's ids are numbers, VOC's are names; one collection holds one kind."""

BOX_DECIMALS = 3
SCORE_DECIMALS = 7
"""Boxes and scores are rounded when they are added, not when they are written: what is evaluated is what a
file says. Three decimals undo what float32 did to coordinates with two, as COCO's have; seven tell as
many scores near 1 apart as float32 does."""


@dataclass(frozen=True)
class ImageDetections:
    """Detections of one image: `bbox` `(n, 4)` xywh, `score` `(n,)` falling, `label` `(n,)`.

    `outline` are n packed ones (`data/instances/outlines.py`), or none where boxes alone were found.
    """

    bbox: NDArray[np.float64]
    score: NDArray[np.float64]
    label: NDArray[np.int64]
    outline: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class ImageTruth:
    """Objects of one image: `bbox` `(n, 4)` xywh; `label`, `area` (pixels), `crowd`, `difficult` `(n,)`.

    `outline` are n packed ones in an image of `size` (width, height), or none where only boxes are known.
    """

    bbox: NDArray[np.float64]
    label: NDArray[np.int64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    outline: tuple[bytes, ...] = ()
    size: tuple[int, int] = (0, 0)


Part = TypeVar("Part", ImageDetections, ImageTruth)


class _ByImage(Generic[Part]):
    def __init__(self, num_classes: int):
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}; with the background it has to be at least 2")
        self.num_classes = num_classes
        self._parts: dict[ImageId, Part] = {}

    @property
    def images(self) -> list[ImageId]:
        """Ids of the images, also of those without a box, sorted."""
        return sorted(self._parts, key=lambda image: (isinstance(image, str), image))

    def __len__(self) -> int:
        """Number of boxes."""
        return sum(len(part.label) for part in self._parts.values())

    def __contains__(self, image_id: ImageId) -> bool:
        return image_id in self._parts

    def __getitem__(self, image_id: ImageId) -> Part:
        return self._parts[image_id]

    def merge(self, other: "_ByImage[Part]") -> None:
        """Add the images of another part of the same split; an image in both is a `ValueError`."""
        if other.num_classes != self.num_classes:
            raise ValueError("detections over different classes cannot be merged")
        for image_id, part in other._parts.items():
            self._keep(image_id, part)

    def _keep(self, image_id: ImageId, part: Part) -> None:
        if not isinstance(image_id, int | str):
            raise ValueError(f"image id {image_id!r} has to be a plain number or a name")
        if image_id in self._parts:
            raise ValueError(f"image {image_id} was added twice")
        self._parts[image_id] = part

    def _labels(self, image_id: ImageId, labels: Any, boxes: NDArray[Any]) -> NDArray[np.int64]:
        ids = np.asarray(labels).reshape(-1).astype(np.int64)
        if len(ids) != len(boxes):
            raise ValueError(f"image {image_id}: {len(boxes)} boxes, {len(ids)} labels")
        if ids.size and not (ids.min() >= 1 and ids.max() < self.num_classes):
            wrong = ids.min() if ids.min() < 1 else ids.max()
            raise ValueError(f"image {image_id}: label {wrong}, the classes are 1..{self.num_classes - 1}")
        return ids


class Detections(_ByImage[ImageDetections]):
    """What a detector found."""

    def add(self, image_id: ImageId, found: Mapping[str, Any]) -> None:
        """Take one image's `boxes` `(n, 4)` xyxy, `scores` `(n,)` and `labels` `(n,)` (torchvision's keys).

        Where there are `outlines`, n packed ones, they are kept, too.
        Detections of one score keep their order. Raises `ValueError` for an image that is there already,
        a label that is no class, and boxes or scores that are not finite, inverted or of different number: a
        model is wrong then, and no score may come of it.
        """
        bbox = _xywh(image_id, found["boxes"])
        scores = np.asarray(found["scores"], dtype=np.float64).reshape(-1)
        if not np.isfinite(scores).all():
            raise ValueError(f"image {image_id}: a score is not finite; the model has diverged")
        rounded = np.round(scores, SCORE_DECIMALS)
        self.add_rows(image_id, bbox, rounded, found["labels"], found.get("outlines", ()))

    def add_rows(
        self,
        image_id: ImageId,
        bbox: NDArray[Any],
        score: NDArray[Any],
        labels: Any,
        outlines: Sequence[bytes] = (),
    ) -> None:
        """The same from `bbox` `(n, 4)` xywh, whose numbers are kept as they are."""
        ids = self._labels(image_id, labels, bbox)
        if len(score) != len(bbox):
            raise ValueError(f"image {image_id}: {len(bbox)} boxes, {len(score)} scores")
        order = np.argsort(-score, kind="stable")
        sorted_outlines = tuple(outlines[place] for place in order) if outlines else ()
        self._keep(image_id, ImageDetections(bbox[order], score[order], ids[order], sorted_outlines))


class GroundTruth(_ByImage[ImageTruth]):
    """What is there to be found."""

    def add(self, image_id: ImageId, target: Mapping[str, Any]) -> None:
        """Take one image's `boxes` `(n, 4)` xyxy and `labels` `(n,)`.

        `area` (that of the box by default), `iscrowd` and `difficult` (none by default) may be there, and
        `outlines`, n packed ones, in an image whose `size` (height, width) is there, too.
        Raises `ValueError` as `Detections.add` does.
        """
        bbox = _xywh(image_id, target["boxes"])
        label = self._labels(image_id, target["labels"], bbox)
        given = {key: target.get(key) for key in ("area", "iscrowd", "difficult")}
        area = bbox[:, 2] * bbox[:, 3] if given["area"] is None else np.asarray(given["area"], np.float64)
        flags = [
            np.zeros(len(bbox), dtype=bool) if given[key] is None else np.asarray(given[key]).astype(bool)
            for key in ("iscrowd", "difficult")
        ]
        for key, column in zip(given, (area, *flags), strict=True):
            if column.shape != label.shape:
                raise ValueError(f"image {image_id}: {len(bbox)} boxes, {key} has shape {column.shape}")
        outlines = tuple(target.get("outlines", ()))
        size = tuple(int(side) for side in target["size"]) if outlines else (0, 0)
        self._keep(image_id, ImageTruth(bbox, label, area, flags[0], flags[1], outlines, (size[1], size[0])))


def check_images(detections: Detections, truth: GroundTruth) -> None:
    """Raise `InputError` unless every image with detections has ground truth, over the same classes."""
    if detections.num_classes != truth.num_classes:
        raise InputError(
            f"detections are over {detections.num_classes} classes, ground truth over {truth.num_classes}"
        )
    if not truth.images:
        raise InputError("the ground truth has no image; there is nothing to evaluate")
    for image_id in detections.images:
        if image_id not in truth:
            raise InputError(f"image {image_id!r} has detections, but the ground truth has no such image")


def _xywh(image_id: ImageId, boxes: Any) -> NDArray[np.float64]:
    xyxy = np.asarray(boxes, dtype=np.float64)
    xyxy = xyxy.reshape(-1, 4) if xyxy.size == 0 else xyxy
    if xyxy.ndim != 2 or xyxy.shape[1] != 4:
        raise ValueError(f"image {image_id}: boxes have shape {xyxy.shape}, expected (n, 4)")
    if not np.isfinite(xyxy).all():
        raise ValueError(f"image {image_id}: a box is not finite")
    bbox = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    if (bbox[:, 2:] < 0).any():
        wrong = xyxy[(bbox[:, 2:] < 0).any(axis=1)][0].tolist()
        raise ValueError(f"image {image_id}: box {wrong} is inverted, expected x1 <= x2 and y1 <= y2")
    return np.round(bbox, BOX_DECIMALS)
