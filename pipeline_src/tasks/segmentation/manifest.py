"""What the manifest of a data set with masks checks and says: pixels by class."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.data.read_manifest import IGNORE_INDEX, Counted
from pipeline_src.data.records import Record
from pipeline_src.data.segmentation.check_record import CheckedMask, check_record
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.files import digest_of


class MaskChecks:
    """A mask is an index image of its image's size, and holds ids of `labels` alone."""

    def __init__(self, labels: LabelSpace) -> None:
        self.labels = labels

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "MaskChecks":
        """From the parameters of a manifest job."""
        ids, ignored = params.get("class_ids"), params.get("ignored_ids")
        return cls(LabelSpace.of(params["num_classes"], params["ignore_index"], ids, ignored))

    @property
    def identity(self) -> dict[str, Any]:
        """How mask ids become classes."""
        return {
            "label_map": self.labels.label_map,
            "num_classes": self.labels.num_classes,
            "ignore_index": IGNORE_INDEX,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """The same."""
        return self.identity

    def checker(self) -> Callable[[Path, Record], CheckedMask]:
        """See `check_record`."""
        return partial(check_record, self.labels.allowed, self.labels.described)

    def summary(self, split: str) -> "MaskSummary":
        """Counts of a split."""
        return MaskSummary(self.labels)


class MaskSummary:
    """Pixels of each class."""

    def __init__(self, labels: LabelSpace) -> None:
        self.labels = labels
        self.counts = np.zeros(256, dtype=np.int64)

    def add(self, record: Record, found: CheckedMask) -> str:
        """Count the mask's pixels; training sees both files as they are."""
        self.counts += np.array(found.counts)
        return digest_of([found.image.digest, found.annotation.digest])

    def counted(self) -> Counted:
        """Pixels by training id."""
        pixels, ignored = self._pixels()
        return Counted("labelled pixels", pixels, ignored, "not labelled")

    def facts(self) -> dict[str, Any]:
        """Nothing else."""
        return {}

    def columns(self) -> dict[str, Any]:
        """Nothing: masks stay files."""
        return {}

    def warnings(self) -> list[str]:
        """Nothing is put right in a mask."""
        return []

    def problem(self) -> str | None:
        """A split without a label, or of one class alone, where every prediction would be right."""
        pixels, ignored = self._pixels()
        there = [label for label, count in enumerate(pixels) if count]
        if not there:
            return "no pixel of its masks is labelled"
        if len(there) == 1 and len(pixels) > 1:
            left_out = f", {ignored} are not labelled" if ignored else ""
            return (
                f"all its labelled pixels are of class {there[0]} (counted from 0){left_out}; "
                "are the objects' ids those of the classes?"
            )
        return None

    def _pixels(self) -> tuple[list[int], int]:
        pixels = [0] * self.labels.num_classes
        ignored = 0
        for mask_id, count in enumerate(self.counts.tolist()):
            label = mask_id if self.labels.label_map is None else self.labels.label_map[mask_id]
            if label < self.labels.num_classes:
                pixels[label] += count
            else:
                ignored += count
        return pixels, ignored
