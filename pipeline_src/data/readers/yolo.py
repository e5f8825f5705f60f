"""Reader of images and labels in YOLO's layout (`format: yolo`). Standard library only: nothing is opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.file_names import (
    IMAGE_SUFFIXES,
    FilesByStem,
    join,
    list_named,
    named_sources,
    read_list,
)
from pipeline_src.data.readers.box_reader import BoxReader
from pipeline_src.data.records import SplitListing, take
from pipeline_src.options import REQUIRED, PositiveInt, option


def read_yolo(roots: Sequence[Path], split: str, spec: Mapping[str, Any]) -> SplitListing[DetectionRecord]:
    """List one split below `roots[0]`.

    `spec` has `images` and `labels` (folders) and optionally `list` (text file with one stem, file name or
    path of an image a line; default: every image of the folder, sorted) and `limit`. A label file has its
    image's stem; an image without one has no objects.

    Raises `InputError` when a folder or the list is missing. What is wrong with single records is in
    `problems`.
    """
    root = roots[0]
    listed = read_list(root / spec["list"]) if spec.get("list") else []
    images = FilesByStem(list_named(root / spec["images"], listed), IMAGE_SUFFIXES)
    names = [name for name in list_named(root / spec["labels"], listed) if name != "classes.txt"]
    labels = FilesByStem(names, (".txt",))
    entries = listed if spec.get("list") else sorted(images.names)
    records, problems = [], []
    for entry in entries:
        stem = images.stem_of(entry) if spec.get("list") else entry
        found = images.names.get(stem or "", [])
        if stem is None or len(found) != 1:
            where = f" (listed in {spec['list']})" if spec.get("list") else ""
            what = f"{' and '.join(found)} share one stem; keep one" if found else f"no image{where}"
            problems.append(f"{split} record {entry!r}: {what} in {spec['images']}")
            continue
        image = join(spec["images"], found[0])
        if stem in labels.names:
            label = join(spec["labels"], labels.names[stem][0])
            records.append(DetectionRecord(stem, image, label, form="yolo"))
        else:
            records.append(DetectionRecord(stem, image, image, objects=()))
    unused = [] if spec.get("list") else sorted(labels.names.keys() - images.names.keys())
    return SplitListing(
        root=root,
        records=take(records, spec.get("limit")),
        sources=yolo_sources(roots, spec),
        problems=tuple(problems),
        warnings=(
            (f"{split}: {len(unused)} label files have no image, first {unused[0]}.txt",) if unused else ()
        ),
        rotated_is_wrong=spec.get("rotation", "refuse") == "refuse",
    )


def yolo_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders of a split and its list, relative to the root."""
    return named_sources(roots[0], spec, ("images", "labels"))


@dataclass(frozen=True)
class YoloOptions:
    """Your own images and boxes in YOLO's format: a text file of labels for each image."""

    classes: list[str] = option(REQUIRED, "Names of the objects, in order of their numbers.", min_length=1)


@dataclass(frozen=True)
class YoloSplit:
    """A split of your own data, as paths below `source.root`."""

    images: str = option(REQUIRED, "Folder of the images.")
    labels: str = option(REQUIRED, "Folder of the label files, one per image, with the same stem.")
    list: str | None = option(
        None, "Text file with one image a line, also in folders below `images`; null: the whole folder."
    )
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")
    rotation: Literal["refuse", "ignore"] = option(
        "refuse", "Images with a rotation (EXIF): `refuse`; `ignore`, if annotations fit the stored pixels."
    )


class YoloReader(BoxReader):
    """A user's own images and labels in YOLO's format."""

    Options, Split = YoloOptions, YoloSplit
    read = staticmethod(read_yolo)
    sources = staticmethod(yolo_sources)
