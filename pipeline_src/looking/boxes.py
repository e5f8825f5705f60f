"""Looks at boxes: classes, boxes by class and size, what seems wrong. Images are opened for sizes only."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import yaml
from PIL import Image

from pipeline_src.data.check_file import DECODE_ERRORS, is_rotated
from pipeline_src.data.detection.records import AnnotatedObject, DetectionRecord
from pipeline_src.data.detection.voc_xml import parse_voc_xml
from pipeline_src.data.detection.yolo_txt import parse_yolo
from pipeline_src.errors import InputError
from pipeline_src.files import read_json
from pipeline_src.looking.findings import Findings, SplitFindings, size_of_object

OPENED = 1000
"""Images whose headers are read for sizes; with YOLO's labels all are, since boxes are fractions of them."""
LISTED = 3


def coco_categories(path: Path) -> list[str]:
    """Names of the categories that have boxes, by their ids; an `InputError` for another kind of JSON."""
    value = read_json(path)
    try:
        used = Counter(entry["category_id"] for entry in value["annotations"])
        found = [(entry["id"], entry["name"]) for entry in value["categories"] if used[entry["id"]]]
    except (TypeError, KeyError, AttributeError):
        raise InputError(
            f"{path}: is not in COCO's format; it needs images, annotations with category_id, categories"
        ) from None
    if not found:
        raise InputError(f"{path}: no category has an annotation; nothing can be learned from it")
    return [str(name) for _, name in sorted(found, key=lambda pair: str(pair[0]).zfill(12))]


def xml_classes(root: Path, records: Sequence[DetectionRecord]) -> list[str]:
    """Names of the objects in XML files, sorted; an `InputError` where there is none."""
    names: set[str] = set()
    for record in records:
        try:
            tree = ET.parse(root / record.annotation)
        except (OSError, ET.ParseError):
            continue  # the check of the records names it
        names |= {(found.findtext("name") or "").strip() for found in tree.iter("object")}
    if not names - {""}:
        raise InputError(f"{root}: no XML file names an object")
    return sorted(names - {""})


def yolo_classes(root: Path) -> list[str]:
    """Names in order of their numbers, from `data.yaml` or `classes.txt`; an `InputError` without either."""
    for name in ("data.yaml", "data.yml", "dataset.yaml"):
        if (root / name).is_file():
            try:
                value: Any = yaml.safe_load((root / name).read_text(encoding="utf-8-sig"))
            except (yaml.YAMLError, UnicodeDecodeError):
                raise InputError(f"{root / name}: is no YAML") from None
            names = value.get("names") if isinstance(value, dict) else None
            if isinstance(names, dict):
                names = [names[key] for key in sorted(names)]
            if isinstance(names, list) and names:
                return [str(one) for one in names]
            raise InputError(f"{root / name}: has no names; it needs a list of class names under `names`")
    for name in ("classes.txt", "labels/classes.txt"):
        if (root / name).is_file():
            return [
                line.strip()
                for line in (root / name).read_text(encoding="utf-8-sig").splitlines()
                if line.strip()
            ]
    raise InputError(f"{root}: neither data.yaml nor classes.txt is there; one of them names the classes")


def look_at_boxes(
    root: Path, splits: Mapping[str, Sequence[DetectionRecord]], classes: Sequence[str]
) -> Findings:
    """Count the boxes of every split; what cannot be read, and what is suspicious, is a warning."""
    found = Findings("boxes")
    labels = {name: number for number, name in enumerate(classes, 1)}
    for name, records in splits.items():
        split = SplitFindings(len(records), len(records))
        every = max(1, len(records) // OPENED)
        chosen = set(random.Random(0).sample(range(len(records)), len(records))[::every])
        problems: list[str] = []
        rotated: list[str] = []
        for place, record in enumerate(records):
            size = record.size
            if place in chosen or record.form == "yolo":
                size = _open(root, record, problems, rotated) or size
                found.image_sizes += [size] if size else []
            objects = _objects(root, record, labels, size or (1, 1), problems)
            problems += suspicious(record.id, objects)
            for one in objects:
                split.counts[classes[one.label - 1]] += 1
                x1, y1, x2, y2 = one.box
                split.sizes[size_of_object(one.area or (x2 - x1) * (y2 - y1))] += 1
        found.splits[name] = split
        more = f" (and {len(problems) - LISTED} more)" if len(problems) > LISTED else ""
        found.warnings += [f"{name}: {text}" for text in problems[:LISTED]]
        found.warnings[-1:] = [text + more for text in found.warnings[-1:]] if more else found.warnings[-1:]
        if rotated:
            found.warnings.append(
                f"{name}: {len(rotated)} images carry a rotation (EXIF), first {rotated[0]}"
            )
    return found


def suspicious(record: str, objects: Sequence[AnnotatedObject]) -> list[str]:
    """What is possible and unlikely about an image's boxes."""
    found = []
    doubled = [key for key, times in Counter((one.label, one.box) for one in objects).items() if times > 1]
    if doubled:
        found.append(f"{record}: a box stands there twice")
    if len(objects) and all(max(one.box) <= 1 for one in objects):
        found.append(f"{record}: all boxes lie within one pixel; are they fractions of the image?")
    return found


def _open(
    root: Path, record: DetectionRecord, problems: list[str], rotated: list[str]
) -> tuple[int, int] | None:
    try:
        with Image.open(root / record.image) as image:
            rotated += [record.image] if is_rotated(image) else []
            return image.size
    except FileNotFoundError:
        problems.append(f"{record.image} is missing")
    except DECODE_ERRORS as error:
        problems.append(f"{record.image} cannot be decoded ({type(error).__name__})")
    return None


def _objects(
    root: Path, record: DetectionRecord, labels: Mapping[str, int], size: tuple[int, int], problems: list[str]
) -> list[AnnotatedObject]:
    if record.objects is not None:
        return list(record.objects)
    try:
        data = (root / record.annotation).read_bytes()
    except OSError:
        problems.append(f"{record.annotation} is missing")
        return []
    if record.form == "yolo":
        objects, wrong = parse_yolo(data, record.annotation, len(labels), size)
    else:
        parsed = parse_voc_xml(data, record.annotation, labels, record.pixels)
        objects, wrong = parsed.objects, parsed.problems
    problems += wrong
    return objects
