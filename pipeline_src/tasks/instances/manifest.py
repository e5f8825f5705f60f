"""What the manifest of a data set with outlined objects checks and says: as with boxes, and the outlines."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.instances.check_record import CheckedInstances, check_instances
from pipeline_src.data.instances.outlines import Outlines
from pipeline_src.files import digest_of
from pipeline_src.tasks.detection.manifest import BoxChecks, BoxSummary


class InstanceChecks(BoxChecks):
    """As boxes are checked, and every object has an outline that fits its image.

    `label_ids` are Cityscapes' own of labels 1, 2, ..., where the annotations are masks of its instance ids.
    """

    def __init__(self, classes: Sequence[str], label_ids: Sequence[int] = ()) -> None:
        super().__init__(classes)
        self.label_ids = list(label_ids)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "InstanceChecks":
        """From the parameters of a manifest job."""
        return cls(params["classes"], params.get("label_ids", ()))

    @property
    def identity(self) -> dict[str, Any]:
        """Task and number of classes, the background among them."""
        return {"task": "instances", "num_classes": len(self.classes)}

    def checker(self) -> Callable[[Path, DetectionRecord], CheckedInstances]:
        """See `check_instances`."""
        labels = {label_id: label for label, label_id in enumerate(self.label_ids, start=1)}
        return partial(check_instances, labels)

    def summary(self, split: str) -> "InstanceSummary":
        """Objects of a split."""
        return InstanceSummary(split, len(self.classes), self.label_ids)


class InstanceSummary(BoxSummary[CheckedInstances]):
    """The objects of one split and their outlines, while its records come in."""

    def __init__(self, name: str, num_classes: int, label_ids: list[int]) -> None:
        super().__init__(name, num_classes)
        self.label_ids = label_ids
        self.outlines: list[bytes] = []

    def add(self, record: DetectionRecord, found: CheckedInstances) -> str:
        """Take in the objects of an image; training sees them, their outlines and the image."""
        self.outlines += found.outlines
        return digest_of([super().add(record, found), [one.decode("ascii") for one in found.outlines]])

    def columns(self) -> dict[str, Any]:
        """What the index stores beside the rows; `data/instances/read_index.py` reads it."""
        return {
            **super().columns(),
            "outlines": Outlines.of(self.outlines).to_text(),
            "label_ids": self.label_ids,
        }
