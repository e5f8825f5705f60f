"""Looks at boxes: classes, boxes by class and size, what seems wrong. Images are opened for sizes only."""

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

from pipeline_src.data.detection.records import AnnotatedObject, DetectionRecord
from pipeline_src.data.detection.voc_xml import parse_voc_xml
from pipeline_src.data.detection.yolo_txt import parse_yolo
from pipeline_src.errors import InputError
from pipeline_src.looking.findings import Findings, SplitFindings, size_of_object, some
from pipeline_src.looking.headers import Header, read_header, sizes_on_disk, turned_line

SECONDS = 0.6
"""How long files are opened for, over all splits."""
CHUNK = 64
THREADS = 4
_OBJECT = re.compile(rb"<object>\s*<name>([^<&]*)</name>")


def xml_classes(root: Path, records: Sequence[DetectionRecord]) -> list[str]:
    """Names of the objects in XML files, sorted; an `InputError` where there is none.

    All files are read, since a class that stands in few would be missed by a choice.
    """
    names: set[str] = set()
    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(partial(_names_of, root), _chunks(records)):
            names |= found
    if not names - {""}:
        raise InputError(f"{root}: no XML file of an image names an object")
    return sorted(names - {""})


def _names_of(root: Path, records: Sequence[DetectionRecord]) -> set[str]:
    return set().union(*(_names_in(f"{root}/{record.annotation}") for record in records))


def _names_in(path: str) -> set[str]:
    try:
        with open(path, "rb") as file:
            data = file.read()
        names = _OBJECT.findall(data)
        if len(names) == data.count(b"<object"):  # as VOC and its tools write it
            return {name.decode().strip() for name in names}
        return {(one.findtext("name") or "").strip() for one in ET.fromstring(data).findall("object")}
    except (OSError, ET.ParseError, UnicodeDecodeError):
        return set()  # the look at the records names it


def look_at_boxes(
    root: Path,
    splits: Mapping[str, Sequence[DetectionRecord]],
    classes: Sequence[str],
    seconds: float = SECONDS,
) -> Findings:
    """Count the boxes of every split; what cannot be read, and what is suspicious, is a warning.

    Boxes that the reader has are all counted; files of annotations and headers of images are opened in a
    seeded order, until `seconds` are over.
    """
    found = Findings("boxes")
    for name, records in splits.items():
        look = _Look(root, name, classes)
        known = [record for record in records if record.objects is not None]
        for record in known:
            look.count(record, record.objects or ())
        chosen = random.Random(0).sample(list(records), len(records))
        whole = len(known) == len(records)
        opened, began = 0, time.monotonic()
        budget = (
            seconds / len(splits) / (2 if whole else 1)
        )  # the boxes are known, headers are half of the work
        with ThreadPoolExecutor(THREADS) as pool:
            for chunk in _chunks(chosen):
                for record, header in zip(chunk, pool.map(look.header, chunk), strict=True):
                    look.add(record, header)
                opened += len(chunk)
                if time.monotonic() - began > budget:
                    break
        look.split.images, look.split.looked_at = len(records), len(records) if whole else opened
        look.split.opened = opened
        found.splits[name] = look.split
        found.image_sizes += look.sizes
        found.warnings += [*look.missing(records), *look.lines()]
    return found


def _chunks(records: Sequence[DetectionRecord]) -> Iterator[Sequence[DetectionRecord]]:
    for start in range(0, len(records), CHUNK):
        yield records[start : start + CHUNK]


class _Look:
    """What is found in one split, gathered while its records come in."""

    def __init__(self, root: Path, name: str, classes: Sequence[str]) -> None:
        self.root, self.name, self.classes = root, name, classes
        self.labels = {label: number for number, label in enumerate(classes, 1)}
        self.split = SplitFindings(0, 0)
        self.sizes: list[tuple[int, int]] = []
        self.problems: list[str] = []
        self.turned: list[str] = []
        self.unlikely: dict[str, list[str]] = {}

    def header(self, record: DetectionRecord) -> Header:
        return read_header(self.root / record.image, record.image)

    def add(self, record: DetectionRecord, header: Header) -> None:
        """Take in an opened image, and the annotation file that is its own."""
        if header.problem and not header.missing:  # `missing` counts these
            self.problems.append(header.problem)
        self.turned += [record.image] if header.turned else []
        if all(header.size):
            self.sizes.append(header.size)
        if record.objects is None:
            self.count(record, self._objects(record, header.size if all(header.size) else (1, 1)))

    def count(self, record: DetectionRecord, objects: Sequence[AnnotatedObject]) -> None:
        """Take in the objects of an image."""
        for one in objects:
            self.split.counts[self.classes[one.label - 1]] += 1
            x1, y1, x2, y2 = one.box
            self.split.sizes[size_of_object(one.area or (x2 - x1) * (y2 - y1))] += 1
        for what in unlikely(objects):
            self.unlikely.setdefault(what, []).append(record.id)

    def missing(self, records: Sequence[DetectionRecord]) -> list[str]:
        """Lines about images without an annotation file, all of the split's."""
        own = {record.annotation: record.image for record in records if record.objects is None}
        there = sizes_on_disk(self.root, list(own))
        lost = [image for annotation, image in own.items() if annotation not in there]
        # of a file for all images; other readers list what is there
        named = [one.image for one in records if one.objects is not None and one.annotation != one.image]
        found = sizes_on_disk(self.root, named)
        gone = [image for image in named if image not in found]
        bare = [one.image for one in records if one.annotation == one.image]
        lines = []
        if gone:
            lines.append(f"{self.name}: {len(gone)} of {len(named)} images are missing, first {gone[0]}")
        if lost:
            lines.append(f"{self.name}: {len(lost)} images have no annotation file, first {lost[0]}")
        if bare:
            lines.append(
                f"{self.name}: {len(bare)} images have no label file, so no objects, first {bare[0]}"
            )
        return lines

    def lines(self) -> list[str]:
        """Everything else that looks wrong."""
        split = self.split
        of = "" if split.looked_at == split.images else f" of {split.looked_at}"
        kinds = [
            f"{self.name}: {len(records)}{of} images: {what}, first {records[0]!r}"
            for what, records in self.unlikely.items()
        ]
        return [*some(self.name, self.problems), *kinds, *turned_line(self.name, self.turned)]

    def _objects(self, record: DetectionRecord, size: tuple[int, int]) -> list[AnnotatedObject]:
        try:
            data = (self.root / record.annotation).read_bytes()
        except OSError:
            return []  # `missing` says it
        if record.form == "yolo":
            objects, wrong = parse_yolo(data, record.annotation, len(self.labels), size)
        else:
            parsed = parse_voc_xml(data, record.annotation, self.labels, record.pixels)
            objects, wrong = parsed.objects, parsed.problems
        self.problems += wrong
        return objects


def unlikely(objects: Sequence[AnnotatedObject]) -> list[str]:
    """What is possible and unlikely about an image's boxes."""
    found = []
    if len({(one.label, one.box) for one in objects}) < len(objects):
        found.append("a box stands there twice")
    if len(objects) and all(max(one.box) <= 1 for one in objects):
        found.append("all boxes lie within one pixel; they seem to be fractions where pixels are meant")
    return found
