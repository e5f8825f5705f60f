"""Reader of Cityscapes with fine annotations, in the layout of the two official archives.

`leftImg8bit/{train, val}/<city>/<id>_leftImg8bit.png` and, of the second archive,
`gtFine/{train, val}/<city>/<id>_gtFine_labelIds.png`. The masks hold Cityscapes' label ids;
`data/label_tables.py` says which of them are classes. Standard library only.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline_src.data.file_names import list_folder, relative_path
from pipeline_src.data.label_tables import CITYSCAPES_CLASSES, CITYSCAPES_LAST_ID
from pipeline_src.data.readers.mask_reader import MaskReader
from pipeline_src.data.readers.pairing import with_masks
from pipeline_src.data.readers.reader import Finding, Reader, Server
from pipeline_src.data.records import Record, SplitListing, take
from pipeline_src.errors import InputError
from pipeline_src.options import REQUIRED, PositiveInt, option

IMAGES, MASKS = "leftImg8bit", "gtFine"
IMAGE_END, MASK_END = "_leftImg8bit.png", "_gtFine_labelIds.png"
ARCHIVES = {IMAGES: "leftImg8bit_trainvaltest.zip", MASKS: "gtFine_trainvaltest.zip"}


def read_cityscapes(
    roots: Sequence[Path], split: str, spec: Mapping[str, Any], mask_end: str = MASK_END
) -> SplitListing:
    """List the images of the set `spec["set"]` (`train`, `val`), sorted by city and name.

    `roots` are folders that hold `leftImg8bit` or `gtFine` or both, or hold a folder `cityscapes` that
    does. The records are relative to the folder with the images. `limit` shortens a split. Names of masks
    end in `mask_end`.

    Raises `InputError` when either folder, or the set in it, is not there, or when the set has no image.
    Images without a mask are one line in `problems`.
    """
    root = cityscapes_root(roots)
    images, masks = _set_folders(roots, spec)
    records: list[Record] = []
    found: set[str] = set()
    for city in _cities(root / images):
        for name in list_folder(root / images / city):
            if name.endswith(IMAGE_END):
                key = name.removesuffix(IMAGE_END)
                records.append(Record(key, f"{images}/{city}/{name}", f"{masks}/{city}/{key}{mask_end}"))
    for city in _cities(root / masks):
        found.update(f"{masks}/{city}/{name}" for name in list_folder(root / masks / city))
    if not records:
        raise InputError(f"{root / images}: holds no <city>/*{IMAGE_END}; split {split!r} has no image")
    records, problems = with_masks(split, records, found, f"{masks}/<city>/*{mask_end}")
    return SplitListing(
        root=root,
        records=take(records, spec.get("limit")),
        sources=cityscapes_sources(roots, spec),
        problems=problems,
    )


def cityscapes_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders of a set's cities, images and masks, relative to `cityscapes_root`.

    Raises `InputError` as `read_cityscapes` does for a missing folder.
    """
    root = cityscapes_root(roots)
    folders = _set_folders(roots, spec)
    return tuple(f"{folder}/{city}" for folder in folders for city in _cities(root / folder))


def cityscapes_root(roots: Sequence[Path]) -> Path:
    """The folder that holds `leftImg8bit`; an `InputError` says where it was looked for."""
    return _holder(roots, IMAGES, "images")


def _set_folders(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, str]:
    """The folders of a set's images and masks, relative to the root of the images; both are there."""
    root, labels = cityscapes_root(roots), _holder(roots, MASKS, "labels")
    for folder in (root / IMAGES, labels / MASKS):
        if not (folder / spec["set"]).is_dir():
            raise InputError(
                f"{folder / spec['set']}: no such folder; it should hold one folder for each city"
            )
    return f"{IMAGES}/{spec['set']}", f"{relative_path(labels / MASKS, root)}/{spec['set']}"


def _holder(roots: Sequence[Path], name: str, what: str) -> Path:
    for root in roots:
        for folder in (root, root / "cityscapes"):
            if (folder / name).is_dir():
                return folder
    places = ", ".join(map(str, roots))
    raise InputError(
        f"{places}: no folder {name}, which holds Cityscapes' {what}; is {ARCHIVES[name]} extracted there?"
    )


def _cities(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read ({error.strerror})") from None


@dataclass(frozen=True)
class CityscapesOptions:
    """Cityscapes with fine annotations, in the layout of the official archives; 19 classes."""


@dataclass(frozen=True)
class CityscapesSplit:
    """A split of Cityscapes."""

    set: Literal["train", "val"] = option(REQUIRED, "Image set: a folder of both archives.")
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")


class CityscapesLayout(Reader):
    """What the readers of masks and of objects share: the two archives, and where generated scenes go."""

    source_kinds = ("archives", "scenes", "folder")
    scene_splits = ("train", "val")

    @classmethod
    def root(cls, roots: Sequence[Path]) -> Path:
        """The folder that holds `leftImg8bit`."""
        return cityscapes_root(roots)

    @classmethod
    def check(
        cls, options: Any, splits: Mapping[str, Any], archives: Sequence[str] | None
    ) -> Iterator[Finding]:
        """Images and labels are two archives."""
        parts = {"cityscapes_images", "cityscapes_gtfine"}
        if archives is not None and len(lacking := sorted(parts - set(archives))) == 1:
            yield ["source", "names"], f"images and labels are two archives; add {lacking[0]}"


class CityscapesReader(CityscapesLayout, MaskReader):
    """Cityscapes with fine annotations."""

    Options, Split = CityscapesOptions, CityscapesSplit
    names = tuple(one.name for one in CITYSCAPES_CLASSES)
    class_ids = tuple(one.label_id for one in CITYSCAPES_CLASSES)
    ignored_ids = tuple(
        label
        for label in range(CITYSCAPES_LAST_ID + 1)
        if label not in {one.label_id for one in CITYSCAPES_CLASSES}
    )
    scene_layout = "cityscapes"
    server = Server("cityscapes", ("cityscapes_images",), "{name}.zip")
    read = staticmethod(read_cityscapes)
    sources = staticmethod(cityscapes_sources)
