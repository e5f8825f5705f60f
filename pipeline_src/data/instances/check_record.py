"""Opens one record with outlined objects, and says what is wrong with it or what is in it.

Runs in the processes of a pool, so it takes and returns plain values. NumPy, Pillow and pycocotools only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline_src.data.check_file import CheckedFile, check_size, is_rotated, open_file, open_image
from pipeline_src.data.detection.check_record import CheckedBoxes
from pipeline_src.data.detection.objects import fit_to_image, has_area
from pipeline_src.data.detection.records import AnnotatedObject, DetectionRecord
from pipeline_src.data.instances.instance_ids import objects_of
from pipeline_src.data.instances.outlines import area_of, pack


@dataclass
class CheckedInstances(CheckedBoxes):
    """The same with the packed outline of every object."""

    outlines: tuple[bytes, ...] = ()


def check_instances(label_ids: Mapping[int, int], root: Path, record: DetectionRecord) -> CheckedInstances:
    """Decode the image of a record below `root`, pack its outlines, and fit its boxes to the image.

    Without `objects` its annotation is a mask of Cityscapes' instance ids; `label_ids` maps label ids to
    labels. Never raises for a bad file: every finding is in `problems`.
    """
    found = CheckedInstances(CheckedFile(record.image), CheckedFile(record.annotation))
    image = open_image(root, found.image, found.problems)
    if image is None:
        return found
    found.rotated = is_rotated(image)
    if record.objects is None:
        annotated, outlines = _from_mask(label_ids, root, found)
    else:
        if record.size is not None:
            check_size(found, "its annotation says", record.size)
        annotated, outlines = _from_file(record, image.size, found)
    if not found.problems:
        found.objects, found.clipped, found.skipped = fit_to_image(annotated, image.size)
        kept = has_area(annotated, image.size)
        found.outlines = tuple(one for one, keep in zip(outlines, kept, strict=True) if keep)
    return found


def _from_mask(
    label_ids: Mapping[int, int], root: Path, found: CheckedInstances
) -> tuple[list[AnnotatedObject], list[bytes]]:
    mask = open_file(root, found.annotation, "mask", found.problems)
    if mask is None:
        return [], []
    check_size(found, "its mask is", mask.size)
    ids = np.asarray(mask)
    if ids.ndim != 2:
        found.problems.append(f"mask {found.annotation.name} has {mask.mode} pixels; it needs one id a pixel")
        return [], []
    try:
        return objects_of(ids.astype(np.int64), label_ids)
    except ValueError as error:
        found.problems.append(f"mask {found.annotation.name} {error}")
        return [], []


def _from_file(
    record: DetectionRecord, size: tuple[int, int], found: CheckedInstances
) -> tuple[list[AnnotatedObject], list[bytes]]:
    annotated, outlines = [], []
    for item in record.objects or ():
        try:
            outline = pack(item.outline, size)
        except ValueError as error:
            found.problems.append(f"annotation {item.id!r} of {record.annotation} {error}")
            continue
        area = area_of(outline, size) if item.area is None else item.area
        annotated.append(replace(item, area=area))
        outlines.append(outline)
    return annotated, outlines
