"""Reader of Cityscapes' objects: the masks `<id>_gtFine_instanceIds.png` beside those of `cityscapes.py`.

Their pixels hold `label id * 1000 + number` where objects of the eight classes are told apart, and the label
id elsewhere; a group of objects is a crowd here. Standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.label_tables import CITYSCAPES_CLASSES
from pipeline_src.data.readers.box_reader import BoxReader
from pipeline_src.data.readers.cityscapes import (
    CityscapesLayout,
    CityscapesSplit,
    cityscapes_sources,
    read_cityscapes,
)
from pipeline_src.data.readers.reader import Server
from pipeline_src.data.records import SplitListing

MASK_END = "_gtFine_instanceIds.png"
CLASSES = tuple(one for one in CITYSCAPES_CLASSES if one.has_instances)


def read_cityscapes_instances(
    roots: Sequence[Path], split: str, spec: Mapping[str, Any]
) -> SplitListing[DetectionRecord]:
    """As `read_cityscapes`, with masks of instance ids; the check finds the objects in them."""
    listing = read_cityscapes(roots, split, spec, MASK_END)
    records = tuple(DetectionRecord(one.id, one.image, one.mask) for one in listing.records)
    return SplitListing(listing.root, records, listing.sources, listing.problems, listing.warnings)


@dataclass(frozen=True)
class CityscapesInstancesOptions:
    """Objects of Cityscapes with fine annotations, in the layout of the official archives; 8 classes."""


class CityscapesInstancesReader(CityscapesLayout, BoxReader):
    """Cityscapes' objects, outlined."""

    task = "instances"
    Options, Split = CityscapesInstancesOptions, CityscapesSplit
    names = tuple(one.name for one in CLASSES)
    scene_layout = "cityscapes_instances"
    server = Server("cityscapes_instances", ("cityscapes_images",), "{name}.zip")
    read = staticmethod(read_cityscapes_instances)
    sources = staticmethod(cityscapes_sources)

    @classmethod
    def labels(cls, options: Any, classes: Sequence[str]) -> dict[str, Any]:
        """Cityscapes' own ids of labels 1, 2, ..."""
        return {"label_ids": [one.label_id for one in CLASSES[: len(classes) - 1]]}

    @classmethod
    def submission_params(cls, classes: Sequence[str]) -> dict[str, Any]:
        """The same, as a submission names them."""
        return {"categories": cls.labels(None, classes)["label_ids"]}
