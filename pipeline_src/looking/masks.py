"""Looks at folders of images and index masks: sizes from headers, mask ids from a seeded sample of masks."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline_src.data.check_file import DECODE_ERRORS, is_rotated
from pipeline_src.data.records import Record
from pipeline_src.errors import InputError
from pipeline_src.looking.findings import Findings, SplitFindings

IGNORED = 255
SECONDS = 3.0
"""How long masks are decoded for, over all splits."""
CHUNK = 64


@dataclass
class Sample:
    """What the masks that were looked at hold: pixels by id, and sizes of images."""

    images: int
    looked_at: int = 0
    ids: Counter[int] = field(default_factory=Counter)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def look_at_masks(root: Path, records: Sequence[Record], name: str, seconds: float = SECONDS) -> Sample:
    """Open a seeded choice of the records for `seconds`; what cannot be opened is a warning.

    Raises `InputError` for masks that are no index masks (several bands).
    """
    chosen = random.Random(0).sample(list(records), len(records))
    sample, began = Sample(len(records)), time.monotonic()
    rotated: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        for chunk in _chunks(chosen):
            for record, (size, ids, problem, turned) in zip(
                chunk, pool.map(lambda one: _open(root, one), chunk)
            ):
                sample.looked_at += 1
                if problem:
                    sample.warnings.append(f"{name}: {problem}")
                    continue
                sample.sizes.append(size)
                sample.ids += ids
                rotated += [record.image] if turned else []
            if time.monotonic() - began > seconds:
                break
    if rotated:
        sample.warnings.append(f"{name}: {len(rotated)} images carry a rotation (EXIF), first {rotated[0]}")
    return sample


def _chunks(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), CHUNK):
        yield records[start : start + CHUNK]


def _open(root: Path, record: Record) -> tuple[tuple[int, int], Counter[int], str, bool]:
    """Size of the image, pixels by mask id, what is wrong, and whether the image is to be turned."""
    nothing: Counter[int] = Counter()
    try:
        with Image.open(root / record.image) as image:
            size, turned = image.size, is_rotated(image)
        with Image.open(root / record.mask) as mask:
            bands, mode, of_mask = len(mask.getbands()), mask.mode, mask.size
            values = np.asarray(mask) if bands == 1 else None
    except FileNotFoundError as error:
        return (0, 0), nothing, f"{error.filename} is missing", False
    except DECODE_ERRORS as error:
        return (0, 0), nothing, f"{record.id}: cannot be decoded ({type(error).__name__})", False
    if values is None:
        raise InputError(
            f"{root / record.mask}: has {bands} bands ({mode}); an index mask has one, of class ids"
        )
    if of_mask != size:
        return (
            size,
            nothing,
            f"{record.image} is {size[0]}x{size[1]}, its mask {of_mask[0]}x{of_mask[1]}",
            turned,
        )
    ids, counts = np.unique(values.astype(np.int64), return_counts=True)
    return size, Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True))), "", turned


def findings_of(samples: dict[str, Sample], classes: Sequence[str]) -> Findings:
    """All samples as findings; an id is a class by its place."""
    found = Findings("pixels")
    for name, sample in samples.items():
        counts = Counter(
            {label: sample.ids[place] for place, label in enumerate(classes) if sample.ids[place]}
        )
        found.splits[name] = SplitFindings(sample.images, sample.looked_at, counts)
        found.image_sizes += sample.sizes
        found.warnings += sample.warnings
    return found


def classes_of(samples: dict[str, Sample], given: Sequence[str], ignored: int = IGNORED) -> list[str]:
    """Names by id: the given ones, or `class_0`, `class_1`, ... up to the largest id that was seen.

    Raises `InputError` where there are too few names, masks hold 0 and 255 only, or nothing was seen.
    """
    ids = sorted(set().union(*(sample.ids for sample in samples.values())) - {ignored})
    if not ids:
        raise InputError(
            f"no mask could be read, or all their pixels are {ignored}, which means not labelled"
        )
    if ids == [0] and ignored == IGNORED and any(sample.ids[IGNORED] for sample in samples.values()):
        raise InputError(
            "the masks hold only 0 and 255, and 255 means not labelled: one class is left; "
            "save the object's pixels as 1"
        )
    if ids[-1] > IGNORED:
        raise InputError(
            f"a mask holds the id {ids[-1]}; ids of classes go up to 254: save masks with 8 bits"
        )
    if 0 < ignored < ids[-1]:
        raise InputError(f"--ignore {ignored} lies among the ids of classes, which go up to {ids[-1]}")
    names = list(given) or [f"class_{number}" for number in range(ids[-1] + 1)]
    if ids[-1] >= len(names):
        raise InputError(
            f"--classes has {len(names)} names, and masks hold the id {ids[-1]}; name 0 to {ids[-1]}"
        )
    if len(names) < 2:
        raise InputError("the masks hold one class only; a comparison needs at least two")
    return names
