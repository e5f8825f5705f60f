"""Readers of PASCAL VOC's detection annotations: one XML file for every image.

`read_voc_detection` knows the official layout, `VOCdevkit/VOC<year>/{JPEGImages, Annotations,
ImageSets/Main}`, and joins image sets of several years, such as 2007's and 2012's `trainval` ("07+12").
`read_voc_xml` reads a user's own folders. The XML is parsed when the files are checked. Standard
library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.file_names import (
    IMAGE_SUFFIXES,
    FilesByStem,
    image_named,
    join,
    list_folder,
    list_named,
    named_sources,
    read_list,
    relative_path,
)
from pipeline_src.data.readers.box_reader import BoxReader
from pipeline_src.data.readers.voc_classes import VOC_CLASSES
from pipeline_src.data.records import SplitListing, take
from pipeline_src.errors import InputError
from pipeline_src.options import REQUIRED, Bounds, PositiveInt, option

IMAGES, ANNOTATIONS, SETS = "JPEGImages", "Annotations", "ImageSets/Main"


def read_voc_detection(
    roots: Sequence[Path], split: str, spec: Mapping[str, Any]
) -> SplitListing[DetectionRecord]:
    """List the image sets `spec["sets"]`, such as `["2007/trainval", "2012/trainval"]`, one after the other.

    `roots` are folders that hold `VOCdevkit/VOC<year>` or `VOC<year>`, or are the latter; a year may have
    several, as its archives are. Records are relative to the first root, ids are the
    lists'. `limit` shortens a split.

    Raises `InputError` when a set's list is not there.
    """
    records: list[DetectionRecord] = []
    for name in spec["sets"]:
        folder, listed = _set_list(roots, name)
        place = relative_path(folder, roots[0])
        images = FilesByStem(list_folder(folder / IMAGES), IMAGE_SUFFIXES)
        for entry in read_list(listed):
            stem = images.stem_of(entry) or entry
            image = f"{place}/{IMAGES}/{image_named(stem, images)}"
            records.append(DetectionRecord(stem, image, f"{place}/{ANNOTATIONS}/{stem}.xml"))
    return SplitListing(
        root=roots[0],
        records=take(records, spec.get("limit")),
        sources=voc_detection_sources(roots, spec),
    )


def voc_detection_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders that decide a split, relative to the first root; an `InputError` for a missing list."""
    found: dict[str, None] = {}
    for name in spec["sets"]:
        place = relative_path(_set_list(roots, name)[0], roots[0])
        found |= dict.fromkeys(f"{place}/{part}" for part in (IMAGES, ANNOTATIONS, SETS))
    return tuple(found)


def read_voc_xml(roots: Sequence[Path], split: str, spec: Mapping[str, Any]) -> SplitListing[DetectionRecord]:
    """List one split of a user's own images and XML files below `roots[0]`.

    `spec` has `images` and `annotations` (folders) and optionally `list` (text file with one stem a
    line; default: every image of the folder, sorted), `boxes` (`pixels`, VOC's convention, or `borders`)
    and `limit`. An annotation has its image's stem.

    Raises `InputError` when a folder or the list is missing. What is wrong with single records is in
    `problems`; a missing XML file is found when the files are checked.
    """
    root = roots[0]
    listed = read_list(root / spec["list"]) if spec.get("list") else []
    images = FilesByStem(list_named(root / spec["images"], listed), IMAGE_SUFFIXES)
    described = FilesByStem(list_named(root / spec["annotations"], listed), (".xml",))
    entries = listed if spec.get("list") else sorted(images.names)
    records, problems = [], []
    for entry in entries:
        stem = images.stem_of(entry) if spec.get("list") else entry
        names = images.names.get(stem or "", [])
        if stem is None or len(names) != 1:
            where = f" (listed in {spec['list']})" if spec.get("list") else ""
            what = f"{' and '.join(names)} share one stem; keep one" if names else f"no image{where}"
            problems.append(f"{split} record {entry!r}: {what} in {spec['images']}")
            continue
        file = described.names.get(stem, [f"{stem}.xml"])[0]
        annotation, image = join(spec["annotations"], file), join(spec["images"], names[0])
        pixels = spec.get("boxes", "pixels") == "pixels"
        records.append(DetectionRecord(stem, image, annotation, pixels=pixels))
    unused = [] if spec.get("list") else sorted(described.names.keys() - images.names.keys())
    return SplitListing(
        root=root,
        records=take(records, spec.get("limit")),
        sources=voc_xml_sources(roots, spec),
        problems=tuple(problems),
        warnings=(
            (f"{split}: {len(unused)} annotations have no image, first {unused[0]}.xml",) if unused else ()
        ),
        rotated_is_wrong=spec.get("rotation", "refuse") == "refuse",
    )


def voc_xml_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders of a split and its list, relative to the root."""
    return named_sources(roots[0], spec, ("images", "annotations"))


def _set_list(roots: Sequence[Path], name: str) -> tuple[Path, Path]:
    """The `VOC<year>` folder that holds an image set such as `2007/test`, and the set's list."""
    year, _, image_set = name.partition("/")
    for root in roots:
        below = (root / "VOCdevkit" / f"VOC{year}", root / f"VOC{year}")
        # the root itself only where its name says so: any year's lists are called the same
        for folder in (*below, *([root] if root.name == f"VOC{year}" else [])):
            if (folder / SETS / f"{image_set}.txt").is_file():
                return folder, folder / SETS / f"{image_set}.txt"
    places = ", ".join(map(str, roots))
    raise InputError(
        f"{places}: no VOCdevkit/VOC{year}/{SETS}/{image_set}.txt, the list of VOC{year}'s {image_set}"
    )


VocSet = Annotated[str, Bounds(pattern="^(2007|2012)/(train|val|trainval|test)$")]


@dataclass(frozen=True)
class VocDetectionOptions:
    """VOC2007 and VOC2012 detection in the layout of the official archives; 20 classes."""

    classes: Annotated[list[str], Bounds(min_length=1)] | None = option(
        None, "Names in order of their labels; null: VOC's 20."
    )


@dataclass(frozen=True)
class VocDetectionSplit:
    """A split of VOC detection."""

    sets: list[VocSet] = option(
        REQUIRED, "Image sets, joined, such as [2007/trainval, 2012/trainval].", min_length=1
    )
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")


class VocDetectionReader(BoxReader):
    """PASCAL VOC2007 and VOC2012 detection."""

    Options, Split = VocDetectionOptions, VocDetectionSplit
    names = VOC_CLASSES[1:]
    source_kinds = ("archives", "scenes", "folder")
    scene_layout = "voc_detection"
    scene_splits = ("train", "val", "extra")  # `extra` is VOC2012's trainval, which "07+12" adds
    read = staticmethod(read_voc_detection)
    sources = staticmethod(voc_detection_sources)


@dataclass(frozen=True)
class VocXmlOptions:
    """Your own images and boxes, annotated in VOC's XML format: a folder of images and one of XML files."""

    classes: list[str] = option(REQUIRED, "Names of the objects, in order of their labels.", min_length=1)


@dataclass(frozen=True)
class VocXmlSplit:
    """A split of your own data, as paths below `source.root`."""

    images: str = option(REQUIRED, "Folder of the images.")
    annotations: str = option(REQUIRED, "Folder of the XML files, one per image, with the same stem.")
    list: str | None = option(
        None, "Text file with one image a line, also in folders below `images`; null: the whole folder."
    )
    boxes: Literal["pixels", "borders"] = option(
        "pixels",
        "How boxes count: `pixels` as VOC, from 1 and with the last one; `borders` from 0.",
    )
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")
    rotation: Literal["refuse", "ignore"] = option(
        "refuse", "Images with a rotation (EXIF): `refuse`; `ignore`, if annotations fit the stored pixels."
    )


class VocXmlReader(BoxReader):
    """A user's own folders of images and XML files."""

    Options, Split = VocXmlOptions, VocXmlSplit
    read = staticmethod(read_voc_xml)
    sources = staticmethod(voc_xml_sources)
