"""Reader of PASCAL VOC2012 segmentation in the layout of the official archive.

`VOCdevkit/VOC2012/{JPEGImages, SegmentationClass, ImageSets/Segmentation}`, and `trainaug`, the
usual larger training set: VOC's `train` plus the images that SBD annotates (masks as PNG in
`SegmentationClassAug`) and that are in neither VOC's `train` nor `val`. Standard library only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pipeline_src.data.file_names import (
    IMAGE_SUFFIXES,
    FilesByStem,
    image_named,
    list_folder,
    read_list,
    relative_path,
)
from pipeline_src.data.readers.mask_reader import MaskReader
from pipeline_src.data.readers.reader import Finding, Server
from pipeline_src.data.readers.voc_classes import VOC_CLASSES
from pipeline_src.data.records import Record, SplitListing, take
from pipeline_src.errors import InputError
from pipeline_src.options import REQUIRED, Bounds, PositiveInt, option

IMAGES, MASKS, AUG_MASKS, SETS = (
    "JPEGImages",
    "SegmentationClass",
    "SegmentationClassAug",
    "ImageSets/Segmentation",
)
TRAINAUG = "trainaug"


def read_voc2012(roots: Sequence[Path], split: str, spec: Mapping[str, Any]) -> SplitListing:
    """List the image set `spec["set"]` (`train`, `val`, `trainval`, `trainaug`), in its list's order.

    `roots` are folders that hold `VOCdevkit/VOC2012`, `VOC2012` or its content; for `trainaug`, one
    of them also holds a folder `SegmentationClassAug` (beside the images, or below a root of its own).
    The masks there are SBD's `train` and `val`, with or without those of VOC. `limit` shortens a split.

    Raises `InputError` when the layout, a list or the folder of SBD's masks is not there.
    """
    root = voc_root(roots)
    if spec["set"] == TRAINAUG:
        records = [*_voc_records(root, "train"), *_aug_records(root, _aug_folder(root, roots))]
    else:
        records = _voc_records(root, spec["set"])
    return SplitListing(
        root=root, records=take(records, spec.get("limit")), sources=voc2012_sources(roots, spec)
    )


def voc2012_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders that decide a split, relative to the `VOC2012` folder."""
    if spec["set"] != TRAINAUG:
        return (IMAGES, MASKS, SETS)
    root = voc_root(roots)
    return (IMAGES, MASKS, SETS, relative_path(_aug_folder(root, roots), root))


def voc_root(roots: Sequence[Path]) -> Path:
    """The `VOC2012` folder within `roots`; an `InputError` says where it was looked for."""
    for root in roots:
        for folder in (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root):
            if (folder / IMAGES).is_dir():
                return folder
    places = ", ".join(map(str, roots))
    raise InputError(
        f"{places}: no VOCdevkit/VOC2012 with a {IMAGES} folder; is the archive extracted there?"
    )


def _voc_records(root: Path, name: str) -> list[Record]:
    images = FilesByStem(list_folder(root / IMAGES), IMAGE_SUFFIXES)
    return [
        Record(stem, f"{IMAGES}/{image_named(stem, images)}", f"{MASKS}/{stem}.png")
        for stem in (images.stem_of(entry) or entry for entry in _image_set(root, name))
    ]


def _image_set(root: Path, name: str) -> list[str]:
    return read_list(root / SETS / f"{name}.txt")


def _aug_records(root: Path, aug: Path) -> list[Record]:
    # SBD draws from VOC's images, and its own split differs: without this, val would be trained on
    voc = {*_image_set(root, "train"), *_image_set(root, "val")}
    stems = [Path(name).stem for name in list_folder(aug) if name.endswith(".png")]
    folder = relative_path(aug, root)
    return [Record(stem, f"{IMAGES}/{stem}.jpg", f"{folder}/{stem}.png") for stem in stems if stem not in voc]


def _aug_folder(root: Path, roots: Sequence[Path]) -> Path:
    for folder in (root, *roots):
        if (folder / AUG_MASKS).is_dir():
            return folder / AUG_MASKS
    places = ", ".join(dict.fromkeys(map(str, (root, *roots))))
    raise InputError(f"{places}: no {AUG_MASKS} folder, which {TRAINAUG} takes SBD's masks from")


@dataclass(frozen=True)
class Voc2012Options:
    """VOC2012 segmentation in the layout of the official archive (`VOCdevkit/VOC2012`)."""

    classes: Annotated[list[str], Bounds(min_length=2)] | None = option(
        None, "Class names by mask id; null: VOC's 21."
    )
    ignore_index: int = option(255, "Mask id that is neither trained nor evaluated on.", ge=0, le=255)


@dataclass(frozen=True)
class Voc2012Split:
    """A split of VOC2012."""

    set: Literal["train", "trainval", "trainaug", "val"] = option(
        REQUIRED, "Image set; `trainaug` adds the masks of SBD."
    )
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")


class Voc2012Reader(MaskReader):
    """PASCAL VOC2012 segmentation."""

    Options, Split = Voc2012Options, Voc2012Split
    names = VOC_CLASSES
    source_kinds = ("archives", "scenes", "folder")
    scene_layout = "voc2012"
    scene_splits = ("train", "val", "aug")  # `aug` is what `trainaug` adds
    server = Server("voc2012", ("voc2012_test",), "{name}.tar.gz")
    read = staticmethod(read_voc2012)
    sources = staticmethod(voc2012_sources)

    @classmethod
    def root(cls, roots: Sequence[Path]) -> Path:
        """The `VOC2012` folder."""
        return voc_root(roots)

    @classmethod
    def check(
        cls, options: Any, splits: Mapping[str, Any], archives: Sequence[str] | None
    ) -> Iterator[Finding]:
        """SBD's masks are an archive of their own."""
        yield from super().check(options, splits, archives)
        augmented = any(split.set == TRAINAUG for split in splits.values())
        if augmented and archives is not None and "sbd" not in archives:
            yield ["source", "names"], "trainaug takes its masks from SBD; add sbd"
