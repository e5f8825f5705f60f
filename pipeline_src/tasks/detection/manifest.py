"""What the manifest of a data set with boxes checks and says: objects by class and size.

Boxes that reach outside their image are clipped and boxes without area are skipped; the manifest counts
both and names all their records, a warning the first. Its content follows from images, boxes, labels, areas
and flags, not from how or where a file states them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from pipeline_src.data.detection.check_record import CheckedBoxes, check_record
from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.read_manifest import Counted
from pipeline_src.files import digest_of

NAMED_RECORDS = 10
"""So many records are named beside the count of a warning."""

ENOUGH = 10
"""Boxes from which a share of them says something."""

SMALL, LARGE = 32**2, 96**2
"""COCO's limits of a medium object's area, in square pixels."""


class BoxChecks:
    """An image has the size that its annotation states, boxes are finite, and every class is known.

    `classes` are the names by label, the background first.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "BoxChecks":
        """From the parameters of a manifest job."""
        return cls(params["classes"])

    @property
    def identity(self) -> dict[str, Any]:
        """Task and number of classes, the background among them."""
        return {"task": "detection", "num_classes": len(self.classes)}

    @property
    def facts(self) -> dict[str, Any]:
        """The same, and that there are no masks."""
        return {**self.identity, "ignore_index": None, "label_map": None}

    def checker(self) -> Callable[[Path, Any], CheckedBoxes]:
        """See `check_record`."""
        return partial(check_record, {name: label for label, name in enumerate(self.classes) if label})

    def summary(self, split: str) -> "BoxSummary[Any]":
        """Objects of a split."""
        return BoxSummary(split, len(self.classes))


Found = TypeVar("Found", bound=CheckedBoxes)


class BoxSummary(Generic[Found]):
    """The objects of one split, while its records come in."""

    def __init__(self, name: str, num_classes: int) -> None:
        self.name, self.num_classes = name, num_classes
        self.parts: list[Objects] = []
        self.sizes: list[tuple[int, int]] = []
        self.clipped: dict[str, int] = {}
        self.skipped: dict[str, int] = {}
        self.doubled: dict[str, int] = {}

    def add(self, record: DetectionRecord, found: Found) -> str:
        """Take in the objects of an image; training sees them and the image."""
        self.parts.append(found.objects)
        self.sizes.append(found.image.size)
        for counts, count in ((self.clipped, found.clipped), (self.skipped, found.skipped)):
            if count:
                counts[record.id] = count
        if twice := _twice(found.objects):
            self.doubled[record.id] = twice
        return digest_of([found.image.digest, found.objects.digest()])

    def problem(self) -> str | None:
        """A split without a box, or with boxes in fractions of their image."""
        joined = self.joined
        if not len(joined):
            lost = sum(self.skipped.values())
            return "no image has a box" + (f" with area; {lost} have none" if lost else "")
        if float(joined.boxes.max()) <= 1:
            return "all boxes lie within 0..1; boxes are in pixels: multiply them by width and height"
        return None

    @property
    def joined(self) -> Objects:
        """The objects of all images so far."""
        return Objects.joined(self.parts)

    def columns(self) -> dict[str, Any]:
        """What the index stores beside the rows; `data/detection/read_index.py` reads it."""
        widths, heights = ([size[axis] for size in self.sizes] for axis in (0, 1))
        counts = [len(part) for part in self.parts]
        texts = {"counts": counts, "widths": widths, "heights": heights}
        return {**{key: " ".join(map(str, value)) for key, value in texts.items()}, **self.joined.packed()}

    def counted(self) -> Counted:
        """Objects by label, the background left away."""
        joined = self.joined
        scored = ~(joined.crowd | joined.difficult)
        by_label = np.bincount(joined.labels[scored], minlength=self.num_classes).tolist()
        return Counted("objects", by_label[1:], int((~scored).sum()), "crowds and difficult", first=1)

    def facts(self) -> dict[str, Any]:
        """Objects by size and kind, and what was put right."""
        joined = self.joined
        areas = joined.areas[~(joined.crowd | joined.difficult)]
        return {
            "images_without_objects": sum(not len(part) for part in self.parts),
            "objects": len(joined),
            "crowd": int(joined.crowd.sum()),
            "difficult": int(joined.difficult.sum()),
            "small": int((areas < SMALL).sum()),
            "medium": int(((areas >= SMALL) & (areas <= LARGE)).sum()),
            "large": int((areas > LARGE).sum()),
            "clipped": _named(self.clipped),
            "zero_area": _named(self.skipped),
        }

    def warnings(self) -> list[str]:
        """One line for each kind of thing that was put right or left out."""
        return [
            f"{self.name}: {sum(counts.values())} boxes {what}, in {len(counts)} records: "
            f"{_first(list(counts))}"
            for counts, what in (
                (self.clipped, "reach outside their image and were clipped"),
                (self.skipped, "have no area within their image and were skipped"),
                (self.doubled, "stand twice in their image and count twice"),
            )
            if counts
        ] + self._many_clipped()

    def _many_clipped(self) -> list[str]:
        """A warning where most boxes reach outside: they may be corners, not widths and heights."""
        clipped, total = sum(self.clipped.values()), len(self.joined)
        if total < ENOUGH or 2 * clipped <= total:
            return []
        return [
            f"{self.name}: {clipped} of {total} boxes reach outside their image; "
            "are their last two numbers corners where width and height are meant?"
        ]


def _twice(objects: Objects) -> int:
    """How many boxes stand there again, with the same label."""
    rows = np.concatenate([objects.boxes, objects.labels[:, None].astype(np.float32)], axis=1)
    return len(rows) - len(np.unique(rows, axis=0))


def _named(counts: Mapping[str, int]) -> dict[str, Any]:
    """What the manifest says of boxes counted by record: both sums, and the count of every record."""
    return {"boxes": sum(counts.values()), "images": len(counts), "records": dict(counts)}


def _first(names: list[str]) -> str:
    rest = len(names) - NAMED_RECORDS
    return ", ".join(names[:NAMED_RECORDS]) + (f" and {rest} more" if rest > 0 else "")
