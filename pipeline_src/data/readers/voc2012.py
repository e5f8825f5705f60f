"""Reader of PASCAL VOC2012 segmentation in the layout of the official archive.

`VOCdevkit/VOC2012/{JPEGImages, SegmentationClass, ImageSets/Segmentation}`, and `trainaug`, the
usual larger training set: VOC's `train` plus the images that SBD annotates (masks as PNG in
`SegmentationClassAug`) and that are in neither VOC's `train` nor `val`. Standard library only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_src.data.records import Record, SplitListing, list_folder, read_list, relative_path, take
from pipeline_src.errors import InputError

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
    return [
        Record(entry, f"{IMAGES}/{entry}.jpg", f"{MASKS}/{entry}.png") for entry in _image_set(root, name)
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
