"""Reader of COCO's detection annotations: one JSON file for a split, and a folder of images.

`read_coco` knows the layout of the official archives, `read_coco_json` any file and folder that
`params.yaml` names. Category ids may have gaps, as COCO's have: labels count from 1 in the order of the
classes or, without those, of the file. Standard library only.
"""

import json
import math
import os
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pipeline_src.data.coco_categories import COCO_CATEGORIES
from pipeline_src.data.detection.records import AnnotatedObject, DetectionRecord, box_problem
from pipeline_src.data.file_names import relative_path
from pipeline_src.data.readers.box_reader import BoxReader
from pipeline_src.data.readers.reader import Server
from pipeline_src.data.records import SplitListing, take
from pipeline_src.errors import InputError
from pipeline_src.options import REQUIRED, Bounds, PositiveInt, option

SECTIONS = ("images", "annotations", "categories")


def read_coco(
    roots: Sequence[Path], split: str, spec: Mapping[str, Any], outlines: bool = False
) -> SplitListing[DetectionRecord]:
    """List the image set `spec["set"]` (`train2017`, `val2017`), sorted by image id.

    `roots` are folders that hold `annotations/instances_<set>.json`, or the images in `<set>` or
    `images/<set>`; they may be several, as the archives are. Records are relative to the first one.
    `classes` (names, background first) and `limit` are optional. With `outlines`, objects keep theirs.

    Raises `InputError` for a part that is not there, and as `read_coco_json` does.
    """
    images, annotations = coco_sources(roots, spec)[:2]
    return _read(roots[0], images, annotations, split, spec, outlines)


def read_coco_json(
    roots: Sequence[Path], split: str, spec: Mapping[str, Any], outlines: bool = False
) -> SplitListing[DetectionRecord]:
    """List the images of the file `spec["annotations"]`, whose names lie below the folder `spec["images"]`.

    Both are relative to `roots[0]`. `classes` (names, background first) gives the labels; a category that
    has annotations must be among them. `limit` shortens a split.

    Raises `InputError` for a folder or file that is not there, a file that is not COCO's JSON, or two
    categories of one id or name. What is wrong with an image (its id again, a size that is none) or an
    annotation (an unknown category or image, a box that is not finite or is inverted) is in `problems`,
    by file, image and annotation id; images come first.
    """
    images, annotations = spec["images"], spec["annotations"]
    if not (roots[0] / images).is_dir():
        raise InputError(f"{roots[0] / images}: no such folder; it should hold the images of split {split!r}")
    return _read(roots[0], images, annotations, split, spec, outlines)


def coco_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The image folder and the annotation file of a set, relative to the first root."""
    name = spec["set"]
    file = f"annotations/instances_{name}.json"
    annotations = next((root / file for root in roots if (root / file).is_file()), None)
    folders = (root / place for root in roots for place in (name, f"images/{name}"))
    images = next((folder for folder in folders if folder.is_dir()), None)
    places = ", ".join(map(str, roots))
    if annotations is None:
        raise InputError(f"{places}: no {file}, which holds COCO's boxes of {name}")
    if images is None:
        raise InputError(f"{places}: no folder {name} or images/{name}, which holds COCO's images")
    return relative_path(images, roots[0]), relative_path(annotations, roots[0])


def coco_json_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The annotation file and the image folder with the folders below it, relative to the root."""
    folders = [spec["images"], *_folders_below(roots[0] / spec["images"], spec["images"])]
    return (*folders, spec["annotations"])


def _folders_below(top: Path, name: str, seen: frozenset[Path] = frozenset()) -> list[str]:
    """Names of the folders below one, links to folders included; a link back is not followed for ever."""
    if not top.is_dir() or top.resolve() in seen:
        return []
    with os.scandir(top) as entries:
        inner = sorted(entry.name for entry in entries if entry.is_dir())
    found = []
    for one in inner:
        found += [f"{name}/{one}", *_folders_below(top / one, f"{name}/{one}", seen | {top.resolve()})]
    return found


def _read(
    root: Path, images: str, annotations: str, split: str, spec: Mapping[str, Any], outlines: bool
) -> SplitListing[DetectionRecord]:
    content = _load(root / annotations, outlines)
    finder = _Finder(split, root, annotations, content, spec.get("classes"))
    records = [
        DetectionRecord(
            id=_key(image["id"]),
            image=f"{images}/{image['file_name']}",
            annotation=annotations,
            objects=tuple(finder.objects.get(_key(image["id"]), ())),
            size=finder.sizes[_key(image["id"])],
        )
        for image in sorted(finder.images, key=lambda image: _rank(image["id"]))
    ]
    return SplitListing(
        root=root,
        records=take(records, spec.get("limit")),
        sources=(images, annotations) if "set" in spec else coco_json_sources([root], spec),
        problems=tuple(finder.problems),
        rotated_is_wrong="set" not in spec and spec.get("rotation", "refuse") == "refuse",
    )


def _load(path: Path, outlines: bool) -> dict[str, Any]:
    """The file, without outlines where they are of no use: they are most of it."""
    try:
        content = json.loads(
            path.read_text(encoding="utf-8-sig"), object_hook=None if outlines else _without_outline
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such annotation file") from None
    except OSError as error:
        raise InputError(f"{path}: the annotation file cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, no JSON, or a number of thousands of digits
        raise InputError(f"{path}: not valid JSON ({error}); is the file complete?") from None
    for section in SECTIONS:
        entries = content.get(section) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f"{path}: has no list of {section}; COCO's format has {', '.join(SECTIONS)}")
    return content


def _without_outline(value: dict[str, Any]) -> dict[str, Any]:
    value.pop("segmentation", None)
    return value


class _Finder:
    """Goes through a file's sections once: labels of categories, objects of images, what does not fit."""

    def __init__(
        self,
        split: str,
        root: Path,
        file: str,
        content: Mapping[str, Any],
        classes: Sequence[str] | None,
    ) -> None:
        self.split, self.path, self.file = split, root / file, file
        self.problems: list[str] = []
        used = {_key(entry.get("category_id")) for entry in content["annotations"]}
        self.labels, self.unused = self._categories(content["categories"], classes, used)
        self.sizes: dict[str, tuple[int, int] | None] = {}
        self.images = list(self._images(content["images"]))
        self.objects: dict[str, list[AnnotatedObject]] = {_key(image["id"]): [] for image in self.images}
        for entry in content["annotations"]:
            found = self._object(entry)
            if isinstance(found, str):
                self._problem(entry.get("image_id"), f"annotation {entry.get('id')!r} of {self.file} {found}")
            else:
                self.objects[_key(entry["image_id"])].append(found)

    def _problem(self, image_id: Any, text: str) -> None:
        self.problems.append(f"{self.split} record {_key(image_id)!r}: {text}")

    def _categories(
        self, entries: Sequence[Mapping[str, Any]], classes: Sequence[str] | None, used: set[str]
    ) -> tuple[dict[str, int], dict[str, str]]:
        """Labels by category id, and the names of the categories that are not among the classes.

        A category without annotations gives way to one of its name: tools put a whole project's name there.
        """
        names: dict[str, str] = {}
        for entry in sorted(entries, key=lambda entry: _key(entry.get("id")) not in used):
            given, name = entry.get("id"), entry.get("name")
            if not _is_id(given) or not isinstance(name, str):
                raise InputError(f"{self.path}: category {entry!r} needs an id and a name")
            key = _key(given)
            if key not in names and name in names.values() and key not in used:
                continue
            if key in names or name in names.values():
                raise InputError(
                    f"{self.path}: category {given!r} ({name!r}) is defined twice; ids and names are unique"
                )
            names[key] = name
        names = {key: names[key] for key in map(_key, (entry.get("id") for entry in entries)) if key in names}
        order = list(names.values()) if classes is None else list(classes)[1:]
        if not set(order) & set(names.values()):
            raise InputError(
                f"{self.path}: none of its categories ({', '.join(list(names.values())[:5])}) is one of the "
                f"classes ({', '.join(order[:5])})"
            )
        labels = {name: label for label, name in enumerate(order, 1)}
        known = {key: labels[name] for key, name in names.items() if name in labels}
        return known, {key: name for key, name in names.items() if name not in labels}

    def _images(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The images that have an id of their own and a file; their sizes are in `sizes`."""
        seen = set()
        for entry in entries:
            key = entry.get("id")
            if not _is_id(key) or not isinstance(entry.get("file_name"), str):
                self._problem(key, f"image {key!r} of {self.file} needs an id and a file_name")
            elif _key(key) in seen:
                self._problem(key, f"image id {key!r} stands twice in {self.file}; an image has its own id")
            else:
                seen.add(_key(key))
                self.sizes[_key(key)] = self._size(entry)
                yield entry

    def _size(self, image: Mapping[str, Any]) -> tuple[int, int] | None:
        """Width and height where the file states both; what cannot be a size is a problem."""
        sides = []
        for side in ("width", "height"):
            value = image.get(side)
            if value is None:
                continue
            number = _number(value)
            if number is None or not number.is_integer() or number < 1:
                self._problem(
                    image["id"],
                    f"image {image['id']!r} of {self.file} has {side} {reprlib.repr(value)}; it must be a "
                    "whole number of pixels, or be left out",
                )
            else:
                sides.append(int(number))
        return (sides[0], sides[1]) if len(sides) == 2 else None

    def _object(self, entry: Mapping[str, Any]) -> AnnotatedObject | str:
        """The object of an annotation, or what is wrong with it."""
        if not _is_id(entry.get("image_id")) or _key(entry["image_id"]) not in self.objects:
            return f"is of image {entry.get('image_id')!r}, which the file does not define"
        given_category = entry.get("category_id")
        category = _key(given_category)
        if not _is_id(given_category) or category not in self.labels:
            if _is_id(given_category) and category in self.unused:
                return f"is of category {self.unused[category]!r}, which is not among the classes"
            known = sorted({*self.labels, *self.unused}, key=lambda key: (not key.isdecimal(), key.zfill(20)))
            ids = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "")
            return f"has category_id {given_category!r}, which the file does not define; it defines {ids}"
        box = entry.get("bbox")
        numbers = [_number(value) for value in box] if isinstance(box, list) else []
        given = [number for number in numbers if number is not None]
        if not len(numbers) == len(given) == 4:
            return f"has bbox {reprlib.repr(box)}; it must be [x, y, width, height]"
        x, y, width, height = given
        if problem := box_problem((x, y, x + width, y + height)):
            return f"has bbox {reprlib.repr(box)}: {problem}"
        stated = entry.get("area")
        area = _number(stated)
        if stated is not None and (area is None or not math.isfinite(area) or area < 0):
            return f"has area {reprlib.repr(stated)}; it must be a number of square pixels, or be left out"
        crowd = entry.get("iscrowd", 0)
        if crowd not in (0, 1):
            return f"has iscrowd {crowd!r}; it must be 0 or 1"
        return AnnotatedObject(
            self.labels[category],
            (x, y, x + width, y + height),
            area,
            crowd=bool(crowd),
            outline=entry.get("segmentation"),
            id=entry.get("id"),
        )


def _number(value: Any) -> float | None:
    """A number of the file, infinite where it is too large for a float; None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_id(value: Any) -> bool:
    """A text or a whole number, which a table program may have written as a float."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return (whole or isinstance(value, str)) and not isinstance(value, bool)


def _key(value: Any) -> str:
    """An id as text: 7, 7.0 and "7" are one, for a file may write it in one way here and in another there."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _rank(value: Any) -> tuple[str, Any]:
    """Where an image stands in the order of ids: numbers by size, then texts by letters."""
    number = int(value) if isinstance(value, float) else value
    return str(type(number)), number


@dataclass(frozen=True)
class CocoOptions:
    """COCO 2017 detection in the layout of the official archives; 80 classes."""

    classes: Annotated[list[str], Bounds(min_length=1)] | None = option(
        None, "Names in order of their labels; null: COCO's 80."
    )


@dataclass(frozen=True)
class CocoSplit:
    """A split of COCO."""

    set: Literal["train2017", "val2017"] = option(
        REQUIRED, "Image set: a folder and an annotation file, annotations/instances_<set>.json."
    )
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")


class CocoReader(BoxReader):
    """COCO 2017 detection."""

    Options, Split = CocoOptions, CocoSplit
    names = tuple(category.name for category in COCO_CATEGORIES)
    source_kinds = ("archives", "scenes", "folder")
    scene_layout = "coco"
    scene_splits = ("train", "val")
    server = Server(
        "coco",
        ("coco2017_test", "coco2017_test_info"),
        archive="detections_{list}_{name}_results.zip",
        sidecar="{name}_{list}.json",
        default="test-dev2017",
        # test-challenge2017 is a part of test2017 that only the server knows: it takes all of test2017
        lists={"test-dev2017": "test-dev2017", "test2017": "test-challenge2017"},
    )
    read = staticmethod(read_coco)
    sources = staticmethod(coco_sources)

    @classmethod
    def submission_params(cls, classes: Sequence[str]) -> dict[str, Any]:
        """COCO's own ids of the labels 1, 2, ..."""
        ids = {category.name: category.id for category in COCO_CATEGORIES}
        if unknown := [name for name in classes[1:] if name not in ids]:
            raise InputError(
                f"classes: {unknown[0]!r} is none of COCO's 80 categories, and its server knows no others; "
                "train with classes: null or with some of COCO's"
            )
        return {"categories": [ids[name] for name in classes[1:]]}


@dataclass(frozen=True)
class CocoJsonOptions:
    """Your own images and boxes, annotated in COCO's JSON format: a file and a folder for each split."""

    classes: list[str] = option(REQUIRED, "Names of the categories, in order of their labels.", min_length=1)


@dataclass(frozen=True)
class CocoJsonSplit:
    """A split of your own data, as paths below `source.root`."""

    images: str = option(REQUIRED, "Folder that the file names of the annotations start from.")
    annotations: str = option(REQUIRED, "Annotation file in COCO's JSON format.")
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")
    rotation: Literal["refuse", "ignore"] = option(
        "refuse", "Images with a rotation (EXIF): `refuse`; `ignore`, if annotations fit the stored pixels."
    )


class CocoJsonReader(BoxReader):
    """A user's own annotation files in COCO's JSON format."""

    Options, Split = CocoJsonOptions, CocoJsonSplit
    read = staticmethod(read_coco_json)
    sources = staticmethod(coco_json_sources)
