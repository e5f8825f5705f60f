"""Looks at a user's data, one function for each kind: what is in it, and the `datasets` entry of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.data.readers.coco import read_coco_json
from pipeline_src.data.readers.mask_folders import read_masks
from pipeline_src.data.readers.voc_detection import read_voc_xml
from pipeline_src.data.readers.yolo import read_yolo
from pipeline_src.data.records import SplitListing
from pipeline_src.errors import InputError
from pipeline_src.looking import boxes, masks
from pipeline_src.looking.box_folders import read_yolo_file, voc_folders, yolo_classes, yolo_layout
from pipeline_src.looking.coco_files import coco_categories, coco_layout, load_coco, val_file
from pipeline_src.looking.findings import Findings
from pipeline_src.looking.folders import Layout, Splitting, mask_suffix, pairs_of_folders, write_made
from pipeline_src.looking.headers import equal_files
from pipeline_src.looking.mask_ids import meaning_of

MOST_PROBLEMS = 5


@dataclass(frozen=True)
class Wanted:
    """What a user says of the data: where they are, and for masks names and ignored ids."""

    images: Path | None = None
    masks: Path | None = None
    coco: Path | None = None
    voc: Path | None = None
    yolo: Path | None = None
    val_images: Path | None = None
    val_masks: Path | None = None
    val_coco: Path | None = None
    names: Sequence[str] = ()
    ignore: Sequence[int] | None = None

    @property
    def task(self) -> str:
        """What is learned from them."""
        return "segmentation" if self.masks else "detection"


@dataclass(frozen=True)
class Looked:
    """The `datasets` entry, class names as they are counted, findings, and how the folders are laid out."""

    entry: dict[str, Any]
    classes: list[str]
    found: Findings
    layout: Layout


def look(wanted: Wanted, splitting: Splitting) -> Looked:
    """Look at the data, and write the lists that have to be made.

    Raises `InputError` where the data cannot be used.
    """
    if wanted.masks is not None:
        return _look_at_masks(wanted, wanted.masks, splitting)
    if wanted.coco is not None:
        return _look_at_coco(wanted, wanted.coco, splitting)
    if wanted.voc is not None:
        return _look_at_voc(wanted, wanted.voc, splitting)
    if wanted.yolo is not None:
        return _look_at_yolo(wanted.yolo, splitting)
    raise InputError("say what the data are: --images with --masks, --coco, --voc or --yolo")


def _look_at_masks(wanted: Wanted, folder: Path, splitting: Splitting) -> Looked:
    if wanted.images is None:
        raise InputError("--images is missing: the folder of the images that --masks belong to")
    val = (wanted.val_images, wanted.val_masks) if wanted.val_images and wanted.val_masks else None
    suffix = mask_suffix(wanted.images, folder)
    layout = pairs_of_folders(wanted.images, folder, ("images", "masks"), splitting, val, suffix)
    listed = _listed(layout, read_masks, {"mask_suffix": suffix})
    samples = {
        name: masks.look_at_masks(layout.root, listing.records, name, masks.SECONDS / len(listed))
        for name, listing in listed.items()
    }
    for name, sample in samples.items():
        if not sample.paired:
            first = listed[name].records[0].image if listed[name].records else "none of which can be used"
            raise InputError(f"split {name!r}: none of {sample.images} images has a mask, first {first}")
    if not any(sample.ids for sample in samples.values()):
        raise InputError(f"no mask could be used: {next(w for s in samples.values() for w in s.warnings)}")
    seen = set().union(*(sample.ids for sample in samples.values()))
    meaning = meaning_of(seen, wanted.names, wanted.ignore)
    entry = _entry("masks", layout, meaning.entry | ({"mask_suffix": suffix} if suffix else {}))
    return _looked(entry, meaning.classes, masks.findings_of(samples, meaning), layout, listed)


def _look_at_coco(wanted: Wanted, path: Path, splitting: Splitting) -> Looked:
    held_out = wanted.val_coco or val_file(path)
    files = {one: load_coco(one) for one in (path, held_out) if one is not None}
    classes = coco_categories(files)
    layout = coco_layout(files, wanted.images, splitting)
    files.clear()  # the reader reads them again, or the parts that were made
    return _boxes("coco_json", layout, classes, _listed(layout, read_coco_json, _labels(classes)))


def _look_at_voc(wanted: Wanted, folder: Path, splitting: Splitting) -> Looked:
    images, annotations = voc_folders(folder, wanted.images)
    layout = pairs_of_folders(images, annotations, ("images", "annotations"), splitting)
    listed = _listed(layout, read_voc_xml, {})
    records = [record for listing in listed.values() for record in listing.records]
    return _boxes("voc_xml", layout, boxes.xml_classes(layout.root, records), listed)


def _look_at_yolo(root: Path, splitting: Splitting) -> Looked:
    stated = read_yolo_file(root)
    layout, classes = yolo_layout(root, stated, splitting), yolo_classes(root, stated)
    return _boxes("yolo", layout, classes, _listed(layout, read_yolo, _labels(classes)))


def _boxes(
    format_name: str, layout: Layout, classes: list[str], listed: Mapping[str, SplitListing[Any]]
) -> Looked:
    records = {name: one.records for name, one in listed.items()}
    found = boxes.look_at_boxes(layout.root, records, classes)
    if not found.image_sizes:
        problem = [text for one in listed.values() for text in one.problems] + found.warnings
        raise InputError(f"{layout.root}: no image could be opened; {(problem or ['none is listed'])[0]}")
    if not any(split.counts for split in found.splits.values()):
        raise InputError(
            f"{layout.root}: no box was found; {(found.warnings or ['annotations hold none'])[0]}"
        )
    return _looked(_entry(format_name, layout, {"classes": classes}), classes, found, layout, listed)


def _looked(
    entry: dict[str, Any],
    classes: list[str],
    found: Findings,
    layout: Layout,
    listed: Mapping[str, SplitListing[Any]],
) -> Looked:
    """Everything together; what layout and readers found stands first among the warnings."""
    equal = equal_files(layout.root, {name: one.records for name, one in listed.items()})
    found.warnings = [*layout.warnings, *_warned(listed), *found.warnings, *equal]
    return Looked(entry, classes, found, layout)


def _labels(classes: Sequence[str]) -> dict[str, Any]:
    return {"classes": ["background", *classes]}


def _listed(layout: Layout, read: Any, options: Mapping[str, Any]) -> dict[str, SplitListing[Any]]:
    """The records of every split; lists that have to be made are written before."""
    write_made(layout)
    return {name: read([layout.root], name, {**split, **options}) for name, split in layout.splits.items()}


def _warned(listed: Mapping[str, SplitListing[Any]]) -> list[str]:
    """What readers found; a data set with problems is written all the same, and the manifest refuses it."""
    problems = [text for one in listed.values() for text in one.problems]
    more = [f"... and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
    return [*problems[:MOST_PROBLEMS], *more, *(text for one in listed.values() for text in one.warnings)]


def _entry(format_name: str, layout: Layout, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": format_name,
        "source": {"kind": "folder", "root": str(layout.root)},
        "splits": layout.splits,
        **options,
    }
