"""The records of a split with outlined objects from the index beside a manifest. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_src.data.detection.read_index import DetectionIndex
from pipeline_src.data.instances.outlines import Outlines, unpack
from pipeline_src.errors import InputError


@dataclass(frozen=True)
class InstanceIndex(DetectionIndex):
    """A split whose objects have outlines: those of image i lie from `starts[i]` to `starts[i + 1]`, too.

    `annotations` are the files of the records, relative to `root`. `label_ids` are Cityscapes' own of labels
    1, 2, ..., where those files are masks of its instance ids.
    """

    all_outlines: Outlines = field(default_factory=lambda: Outlines.of([]))
    label_ids: tuple[int, ...] = ()

    @classmethod
    def more(cls, columns: Mapping[str, Any]) -> dict[str, Any]:
        """The outlines; an `InputError` for a data set that has boxes only."""
        if "outlines" not in columns:
            raise InputError("describes boxes without outlines; Mask R-CNN needs a data set with instances")
        return {
            "all_outlines": Outlines.from_text(columns["outlines"]),
            "label_ids": tuple(columns["label_ids"]),
        }

    def outlines(self, index: int) -> list[bytes]:
        """Packed outlines of the objects of record `index`, in their order."""
        return [
            self.all_outlines[place] for place in range(int(self.starts[index]), int(self.starts[index + 1]))
        ]

    def masks(self, index: int, which: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Masks `(n, H, W)` of those objects of record `index` for which `which` is true."""
        width, height = self.sizes[index].tolist()
        chosen = [one for one, wanted in zip(self.outlines(index), which, strict=True) if wanted]
        masks = [unpack(one, (width, height)) for one in chosen]
        return np.stack(masks) if masks else np.zeros((0, height, width), dtype=np.uint8)
