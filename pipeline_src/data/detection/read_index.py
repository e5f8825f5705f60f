"""The records of a detection split from the index beside a manifest. NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.errors import InputError
from pipeline_src.files import read_json


@dataclass(frozen=True)
class DetectionIndex:
    """A split: record i has `ids[i]`, `images[i]` (relative to `root`) and `sizes[i]` (width, height).

    `all_objects` holds the objects of every image in turn; those of image i lie from `starts[i]` to
    `starts[i + 1]`. `classes` are the names by label, the background first.
    """

    root: Path
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: tuple[str, ...]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    all_objects: Objects
    annotations: tuple[str, ...] = ()

    @classmethod
    def load(cls, manifest_path: str | Path, split: str) -> "DetectionIndex":
        """Read a split; an `InputError` for a damaged manifest or one of another task."""
        manifest = Manifest.load(manifest_path)
        index = read_json(manifest.index)
        rows = manifest.split_rows(split, index)
        columns = index.get("columns", {}).get(split)
        if columns is None:
            raise InputError(f"{manifest_path}: describes no boxes; a detector needs a detection data set")
        counts, widths, heights = (_integers(columns[key]) for key in ("counts", "widths", "heights"))
        objects = Objects.unpacked(columns)
        if not len(counts) == len(widths) == len(heights) == len(rows) or counts.sum() != len(objects):
            raise InputError(f"{manifest.index}: rows and objects do not belong together; build it again")
        try:
            more = cls.more(columns)
        except InputError as error:
            raise InputError(f"{manifest_path}: {error}") from None
        return cls(
            root=manifest.root,
            classes=manifest.classes,
            ids=tuple(row["id"] for row in rows),
            images=tuple(row["image"] for row in rows),
            sizes=np.stack([widths, heights], axis=1),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            all_objects=objects,
            annotations=tuple(row["annotation"] for row in rows),
            **more,
        )

    @classmethod
    def more(cls, columns: Mapping[str, Any]) -> dict[str, Any]:
        """What else a kind of split reads of the columns; an `InputError` where it is not there."""
        return {}

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_classes(self) -> int:
        """Number of classes, the background among them, as torchvision's detectors count."""
        return len(self.classes)

    def objects(self, index: int) -> Objects:
        """The objects of record `index`, in the annotation's order; boxes in pixels of the original image."""
        return self.all_objects.take(slice(int(self.starts[index]), int(self.starts[index + 1])))

    def landscape(self) -> NDArray[np.bool_]:
        """Which images are wider than high, `(records,)`: the two groups of batches by aspect ratio."""
        return self.sizes[:, 0] > self.sizes[:, 1]

    def with_training_objects(self, difficult: bool = False) -> NDArray[np.int64]:
        """Records that hold an object to learn from (`trainable`), in order."""
        wanted = trainable(self.all_objects, difficult)
        totals = np.concatenate([[0], np.cumsum(wanted)])
        return np.flatnonzero(totals[self.starts[1:]] > totals[self.starts[:-1]])


def trainable(objects: Objects, difficult: bool = False) -> NDArray[np.bool_]:
    """Which objects a detector learns from, `(n,)`: never crowds, difficult ones if `difficult`."""
    return ~objects.crowd if difficult else ~(objects.crowd | objects.difficult)


def _integers(text: Any) -> NDArray[np.int64]:
    return np.array(str(text).split(), dtype=np.int64)
