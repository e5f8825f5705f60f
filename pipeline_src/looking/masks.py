"""Looks at folders of images and index masks: sizes from headers, mask ids from a seeded sample of masks."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline_src.data.check_file import DECODE_ERRORS
from pipeline_src.data.records import Record
from pipeline_src.errors import InputError
from pipeline_src.looking.findings import Findings, SplitFindings, some
from pipeline_src.looking.headers import Header, read_header, sizes_on_disk, turned_line
from pipeline_src.looking.mask_ids import MaskIds

SECONDS = 1.2
"""How long masks are decoded for, over all splits."""
CHUNK = 32
THREADS = 4


@dataclass
class Sample:
    """What the masks that were looked at hold: pixels by id, sizes of images, colours of ids (`#rrggbb`)."""

    images: int
    paired: int = 0
    looked_at: int = 0
    ids: Counter[int] = field(default_factory=Counter)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    colours: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Opened:
    header: Header
    ids: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[int, str] = field(default_factory=dict)
    problem: str = ""


def look_at_masks(root: Path, records: Sequence[Record], name: str, seconds: float = SECONDS) -> Sample:
    """Open a seeded choice of the records for `seconds`; what is wrong with a file is a warning.

    Raises `InputError` for masks that are no index masks (several bands).
    """
    there = sizes_on_disk(root, [record.mask for record in records])
    paired = [record for record in records if record.mask in there]
    sample, began = Sample(len(records), len(paired)), time.monotonic()
    if len(paired) < len(records):
        lacking = [record.image for record in records if record.mask not in there]
        sample.warnings.append(f"{name}: {len(lacking)} images have no mask, first {lacking[0]}")
    chosen = random.Random(0).sample(paired, len(paired))
    problems: list[str] = []
    turned: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for chunk in _chunks(chosen):
            for record, opened in zip(chunk, pool.map(lambda one: _open(root, one), chunk), strict=True):
                sample.looked_at += 1
                problems += [text for text in (opened.header.problem, opened.problem) if text]
                turned += [record.image] if opened.header.turned else []
                if all(opened.header.size):
                    sample.sizes.append(opened.header.size)
                sample.ids.update(opened.ids)
                sample.colours |= opened.colours
            if time.monotonic() - began > seconds:
                break
    sample.warnings += [*some(name, problems), *turned_line(name, turned)]
    return sample


def _chunks(records: Sequence[Record]) -> Iterator[tuple[Record, ...]]:
    for start in range(0, len(records), CHUNK):
        yield tuple(records[start : start + CHUNK])


def _open(root: Path, record: Record) -> _Opened:
    """Header of the image and pixels by id of its mask."""
    header = read_header(root / record.image, record.image)
    try:
        with Image.open(root / record.mask) as mask:
            bands, mode, size = len(mask.getbands()), mask.mode, mask.size
            values = np.asarray(mask) if bands == 1 else None
            palette = mask.getpalette() if mode == "P" else None
    except DECODE_ERRORS as error:
        return _Opened(header, problem=f"mask {record.mask} cannot be decoded ({type(error).__name__})")
    if values is None:
        raise InputError(
            f"{root / record.mask}: has {bands} bands ({mode}); an index mask has one, of class ids"
        )
    if all(header.size) and size != header.size:
        what = f"{record.image} is {_by(header.size)}, its mask {_by(size)}"
        return _Opened(header, problem=what)
    ids = _count(values)
    return _Opened(header, ids, {one: _colour(palette, one) for one in ids} if palette else {})


def _count(values: np.ndarray[Any, Any]) -> dict[int, int]:
    if values.dtype in (np.uint8, np.bool_):
        counts = np.bincount(values.ravel(), minlength=1)
        return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}
    numbers, times = np.unique(values.astype(np.int64), return_counts=True)
    return dict(zip(numbers.tolist(), times.tolist(), strict=True))


def _colour(palette: Sequence[int], number: int) -> str:
    return "#" + bytes(palette[3 * number : 3 * number + 3]).hex()


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def findings_of(samples: Mapping[str, Sample], meaning: MaskIds) -> Findings:
    """All samples as findings, with the colour of each class where masks have a palette."""
    found = Findings("pixels", warnings=list(meaning.warnings))
    for name, sample in samples.items():
        counts = Counter({label: sample.ids[number] for label, number in meaning.id_of.items()})
        found.splits[name] = SplitFindings(sample.images, sample.looked_at, counts=+counts)
        found.image_sizes += sample.sizes
        found.warnings += sample.warnings
        for label, number in meaning.id_of.items():
            if number in sample.colours:
                found.notes[label] = sample.colours[number]
    return found
