"""Reader of ADE20K's scene parsing benchmark (SceneParse150) in the layout of the official archive.

`ADEChallengeData2016/{images, annotations}/{training, validation}`: JPEG images, and PNG masks of the
same stem whose id 0 is "no class" and whose ids 1..150 are the classes (`data/label_tables.py`).
Standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pipeline_src.data.file_names import IMAGE_SUFFIXES, FilesByStem, image_named, list_folder
from pipeline_src.data.label_tables import ADE20K_CLASSES
from pipeline_src.data.readers.mask_reader import MaskReader
from pipeline_src.data.readers.pairing import with_masks
from pipeline_src.data.records import Record, SplitListing, take
from pipeline_src.errors import InputError
from pipeline_src.options import REQUIRED, Bounds, PositiveInt, option

FOLDER, IMAGES, MASKS = "ADEChallengeData2016", "images", "annotations"
SETS = ("training", "validation")


def read_ade20k(roots: Sequence[Path], split: str, spec: Mapping[str, Any]) -> SplitListing:
    """List the images of the set `spec["set"]` (`training`, `validation`), sorted by name.

    `roots` are folders that hold `ADEChallengeData2016` or its content. `limit` shortens a split.

    Raises `InputError` when the layout or a set's folder is not there, or when the set has no image.
    Images without a mask are one line in `problems`.
    """
    root = ade20k_root(roots)
    images, masks = ade20k_sources(roots, spec)
    listed = FilesByStem(list_folder(root / images), IMAGE_SUFFIXES)
    if not listed.names:
        raise InputError(f"{root / images}: holds no image; split {split!r} needs ADE20K's images there")
    found = {f"{masks}/{name}" for name in list_folder(root / masks) if name.endswith(".png")}
    records = [
        Record(stem, f"{images}/{image_named(stem, listed)}", f"{masks}/{stem}.png")
        for stem in sorted(listed.names)
    ]
    unused = sorted(found - {record.mask for record in records})
    records, problems = with_masks(split, records, found, masks)
    return SplitListing(
        root=root,
        records=take(records, spec.get("limit")),
        sources=(images, masks),
        problems=problems,
        warnings=(f"{split}: {len(unused)} masks have no image, first {unused[0]}",) if unused else (),
    )


def ade20k_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, str]:
    """The folders of a set's images and masks, relative to `ade20k_root`; both are there.

    Raises `InputError` for a folder that is missing.
    """
    root = ade20k_root(roots)
    folders = (f"{IMAGES}/{spec['set']}", f"{MASKS}/{spec['set']}")
    for folder in folders:
        if not (root / folder).is_dir():
            raise InputError(
                f"{root / folder}: no such folder; ADE20K has {IMAGES} and {MASKS}, "
                f"each with {' and '.join(SETS)}"
            )
    return folders


def ade20k_root(roots: Sequence[Path]) -> Path:
    """The `ADEChallengeData2016` folder within `roots`; an `InputError` says where it was looked for."""
    for root in roots:
        for folder in (root / FOLDER, root):
            if (folder / IMAGES).is_dir():
                return folder
    places = ", ".join(map(str, roots))
    raise InputError(
        f"{places}: no {FOLDER} with a folder {IMAGES}; is the archive {FOLDER}.zip extracted there?"
    )


@dataclass(frozen=True)
class Ade20kOptions:
    """ADE20K's scene parsing benchmark in the layout of the official archive; mask id 0 is unlabelled."""

    classes: Annotated[list[str], Bounds(min_length=2, max_length=150)] | None = option(
        None, "Class names of the mask ids from 1 on; null: ADE20K's 150."
    )


@dataclass(frozen=True)
class Ade20kSplit:
    """A split of ADE20K."""

    set: Literal["training", "validation"] = option(REQUIRED, "Image set: a folder of the archive.")
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")


class Ade20kReader(MaskReader):
    """ADE20K's scene parsing benchmark (SceneParse150)."""

    Options, Split = Ade20kOptions, Ade20kSplit
    names = ADE20K_CLASSES
    class_ids = tuple(range(1, len(ADE20K_CLASSES) + 1))
    ignored_ids = (0,)
    source_kinds = ("archives", "scenes", "folder")
    scene_layout = "ade20k"
    scene_splits = ("train", "val")
    read = staticmethod(read_ade20k)
    sources = staticmethod(ade20k_sources)

    @classmethod
    def root(cls, roots: Sequence[Path]) -> Path:
        """The `ADEChallengeData2016` folder."""
        return ade20k_root(roots)
