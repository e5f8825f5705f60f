"""The objects of images as arrays: what a check makes of an annotation, and what the index stores.

Columns instead of one Python object per box, so that COCO's 860,000 boxes take 20 MB in memory,
load in one go and are shared by a loader's processes. NumPy only.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_src.data.detection.records import AnnotatedObject
from pipeline_src.errors import InputError

CROWD, DIFFICULT = 1, 2
"""Bits of `flags`."""

THINNEST = 1e-3
"""Pixels; a thinner box has no area: float32 may not tell its borders apart once its image is resized."""

_TYPES = {"boxes": "<f4", "labels": "<u2", "areas": "<f4", "flags": "u1"}


@dataclass(frozen=True)
class Objects:
    """n objects: `boxes (n, 4)` float32 borders xyxy, `labels (n,)` uint16 from 1, `areas (n,)` float32 in
    square pixels, `flags (n,)` uint8 of `CROWD` and `DIFFICULT`.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.uint16]
    areas: NDArray[np.float32]
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def crowd(self) -> NDArray[np.bool_]:
        """Which are groups in one box, `(n,)`."""
        return (self.flags & CROWD) > 0

    @property
    def difficult(self) -> NDArray[np.bool_]:
        """Which are not counted in VOC's evaluation, `(n,)`."""
        return (self.flags & DIFFICULT) > 0

    def take(self, which: slice | NDArray[Any]) -> "Objects":
        """The objects at the given places, or where a mask is true."""
        return Objects(self.boxes[which], self.labels[which], self.areas[which], self.flags[which])

    def digest(self) -> str:
        """SHA-256 of every value in order: equal objects, wherever and however they were written."""
        hasher = hashlib.sha256()
        for data in _bytes(self).values():
            hasher.update(len(data).to_bytes(8, "little") + data)
        return hasher.hexdigest()

    def packed(self) -> dict[str, str]:
        """The columns as base64 of little-endian values, for a JSON file."""
        return {name: base64.b64encode(data).decode() for name, data in _bytes(self).items()}

    @classmethod
    def unpacked(cls, packed: Mapping[str, str]) -> "Objects":
        """From `packed`; columns that do not belong together are an `InputError`."""
        columns = {
            name: np.frombuffer(base64.b64decode(packed[name]), dtype=kind) for name, kind in _TYPES.items()
        }
        count = len(columns["labels"])
        if any(len(column) != (4 * count if name == "boxes" else count) for name, column in columns.items()):
            raise InputError("the columns of the index have different lengths; build the manifest again")
        return cls(columns["boxes"].reshape(count, 4), columns["labels"], columns["areas"], columns["flags"])

    @classmethod
    def joined(cls, parts: Sequence["Objects"]) -> "Objects":
        """All objects of several images, in order."""
        if not parts:
            return fit_to_image((), (0, 0))[0]
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.areas for part in parts]),
            np.concatenate([part.flags for part in parts]),
        )


def fit_to_image(annotated: Sequence[AnnotatedObject], size: tuple[int, int]) -> tuple[Objects, int, int]:
    """The objects of an image of `size` (width, height), and how many boxes were clipped and skipped.

    A box that reaches outside is cut at the border; one without area, as stated or after cutting, is
    skipped (and not counted as clipped). Areas that the annotation states stay; others are their box's.
    """
    count = len(annotated)
    stated, boxes = _clipped(annotated, size)
    extent = boxes[:, 2:] - boxes[:, :2]
    kept = has_area(annotated, size)
    clipped = kept & (boxes != stated).any(axis=1)
    areas = _float32(
        [
            box_area if item.area is None else item.area
            for item, box_area in zip(annotated, extent.prod(axis=1))
        ]
    )
    flags = np.array([CROWD * item.crowd + DIFFICULT * item.difficult for item in annotated], dtype=np.uint8)
    labels = np.array([item.label for item in annotated], dtype=np.uint16)
    objects = Objects(boxes, labels, areas, flags).take(kept)
    return objects, int(clipped.sum()), int(count - kept.sum())


def has_area(annotated: Sequence[AnnotatedObject], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which objects have a box with area within an image of `size` (width, height), `(n,)`."""
    boxes = _clipped(annotated, size)[1]
    return np.asarray((boxes[:, 2:] - boxes[:, :2] >= THINNEST).all(axis=1))


def _clipped(
    annotated: Sequence[AnnotatedObject], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes `(n, 4)` as stated, and cut at the border of the image."""
    stated = _float32([item.box for item in annotated]).reshape(len(annotated), 4)
    return stated, np.clip(stated, 0, np.array([*size, *size], dtype=np.float32))


def _float32(values: Sequence[Any]) -> NDArray[np.float32]:
    """Finite numbers as float32, those beyond its range as the largest that it has."""
    limits = np.finfo(np.float32)
    wide: NDArray[np.float64] = np.array(values, dtype=np.float64)
    return np.clip(wide, limits.min, limits.max).astype(np.float32)


def _bytes(objects: Objects) -> dict[str, bytes]:
    return {
        name: np.ascontiguousarray(getattr(objects, name), dtype=kind).tobytes()
        for name, kind in _TYPES.items()
    }
