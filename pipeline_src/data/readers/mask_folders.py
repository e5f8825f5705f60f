"""Reader of a user's own folders of images and index masks (`format: masks`).

A split is an image folder, a mask folder and, optionally, a list of stems or file names. A mask has
its image's stem, plus `mask_suffix` where there is one. Standard library only: nothing is opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline_src.data.file_names import (
    IMAGE_SUFFIXES,
    FilesByStem,
    join,
    list_named,
    named_sources,
    read_list,
    same_letters,
)
from pipeline_src.data.readers.mask_reader import MaskReader
from pipeline_src.data.readers.reader import Finding
from pipeline_src.data.records import Record, SplitListing, take
from pipeline_src.errors import InputError
from pipeline_src.options import REQUIRED, PositiveInt, option

MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".pgm")
LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")


def masks_sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders of a split and its list, relative to the root."""
    return named_sources(roots[0], spec, ("images", "masks"))


def read_masks(roots: Sequence[Path], split: str, spec: Mapping[str, Any]) -> SplitListing:
    """List one split below `roots[0]`.

    `spec` has `images` and `masks` (folders), and optionally `list` (text file with one stem, file name or
    path a line, also of folders below; default: every image of the folder, sorted), `mask_suffix` and
    `limit`.

    Raises `InputError` when a folder or the list is missing, or when one folder holds both images
    and masks and no suffix tells them apart. What is wrong with single records is in `problems`.
    """
    root = roots[0]
    suffix = spec.get("mask_suffix") or ""
    listed = read_list(root / spec["list"]) if spec.get("list") else []
    image_names = list_named(root / spec["images"], listed)
    mask_names = list_named(root / spec["masks"], listed)
    masks = FilesByStem(mask_names, MASK_SUFFIXES)
    if (root / spec["images"]).resolve() == (root / spec["masks"]).resolve():
        if not suffix:
            raise InputError(
                f"{root / spec['images']}: split {split!r} has its images and masks in one folder; "
                "give the mask_suffix that tells them apart"
            )
        image_names = [name for name in image_names if not Path(name).stem.endswith(suffix)]
    images = FilesByStem(image_names, IMAGE_SUFFIXES)
    finder = _Finder(split, spec, suffix, images, masks, mask_names)
    entries = listed if spec.get("list") else sorted(images.names)
    records = [record for record in map(finder.record, entries) if record is not None]
    warnings = [] if spec.get("list") else finder.unused_masks()
    return SplitListing(
        root=root,
        records=take(records, spec.get("limit")),
        sources=masks_sources(roots, spec),
        problems=tuple(finder.problems),
        warnings=tuple(warnings),
        rotated_is_wrong=spec.get("rotation", "refuse") == "refuse",
    )


class _Finder:
    """Pairs list entries with images and images with masks, and collects what does not fit."""

    def __init__(
        self,
        split: str,
        spec: Mapping[str, Any],
        suffix: str,
        images: FilesByStem,
        masks: FilesByStem,
        mask_names: list[str],
    ) -> None:
        self.split, self.spec, self.suffix = split, spec, suffix
        self.images, self.masks = images, masks
        self.mask_names = set(mask_names)
        self.problems: list[str] = []

    def record(self, entry: str) -> Record | None:
        """The record of a list entry; None, with a problem noted, where there is no such image."""
        stem = self.images.stem_of(entry) if self.spec.get("list") else entry
        if stem is None:
            where = f" (listed in {self.spec['list']})" if self.spec.get("list") else ""
            self._problem(entry, f"no image in {self.spec['images']}{where}")
            return None
        names = self.images.names[stem]
        entry = entry.replace("\\", "/")
        meant = [name for name in names if f"/{entry}".endswith(f"/{name}")]
        if len(names) > 1 and not meant:
            self._problem(stem, f"{' and '.join(names)} in {self.spec['images']} share one stem; keep one")
            return None
        image = (meant or names)[0]
        return Record(stem, join(self.spec["images"], image), join(self.spec["masks"], self._mask(stem)))

    def unused_masks(self) -> list[str]:
        """A warning when masks are there whose images are not: an image may have been lost."""
        used = {stem + self.suffix for stem in self.images.names}
        unused = sorted(stem for stem in self.masks.names if stem.endswith(self.suffix) and stem not in used)
        if not unused:
            return []
        return [
            f"{self.split}: {len(unused)} masks in {self.spec['masks']} have no image, first {unused[0]!r}"
        ]

    def _mask(self, stem: str) -> str:
        names = self.masks.names.get(stem + same_letters(self.suffix))
        if not names:
            lossy = [stem + self.suffix + end for end in LOSSY_SUFFIXES]
            for name in lossy:
                if name in self.mask_names and name not in self.images.names.get(stem, []):
                    self._problem(stem, f"mask {name} is of a type that alters class ids; save masks as PNG")
            # the check of the files reports the missing mask under this name
            return f"{stem}{self.suffix}.png"
        if len(names) > 1:
            self._problem(stem, f"{' and '.join(names)} in {self.spec['masks']} are both its mask; keep one")
        return names[0]

    def _problem(self, entry: str, text: str) -> None:
        self.problems.append(f"{self.split} record {entry!r}: {text}")


@dataclass(frozen=True)
class MasksOptions:
    """Your own images and index masks, in folders."""

    classes: list[str] = option(REQUIRED, "Class names by mask id.", min_length=2)
    ids: list[int] | None = option(
        None, "Mask ids of the classes, in their order, such as [1, 2, 5]; null: 0, 1, 2, ..."
    )
    ignore_index: int = option(255, "Mask id that is neither trained nor evaluated on.", ge=0, le=255)
    ignored_ids: list[int] = option((), "Further such ids, such as [0, 254].")
    mask_suffix: str = option("", "What a mask's stem has after the image's, such as `_L`.")


@dataclass(frozen=True)
class MasksSplit:
    """A split of a folder of images and masks, as paths below `source.root`."""

    images: str = option(REQUIRED, "Folder of the images.")
    masks: str = option(REQUIRED, "Folder of the index masks (PNG), one per image, with the same stem.")
    list: str | None = option(
        None, "Text file with one image a line, also in folders below `images`; null: the whole folder."
    )
    limit: PositiveInt | None = option(None, "Use only so many images (a seeded choice); null: all.")
    rotation: Literal["refuse", "ignore"] = option(
        "refuse", "Images with a rotation (EXIF): `refuse`; `ignore`, if annotations fit the stored pixels."
    )


class MasksReader(MaskReader):
    """A user's own folders of images and index masks."""

    @classmethod
    def labels(cls, options: Any, classes: Sequence[str]) -> dict[str, Any]:
        """As usual, with ids of the user's own."""
        further = list(options.ignored_ids)
        if options.ids is None and not further:
            return super().labels(options, classes)
        ids = list(range(len(classes))) if options.ids is None else list(options.ids)
        return {"ignore_index": options.ignore_index, "class_ids": ids, "ignored_ids": further}

    @classmethod
    def check(
        cls, options: Any, splits: Mapping[str, Any], archives: Sequence[str] | None
    ) -> Iterator[Finding]:
        """Every class has an id of its own, which is not ignored."""
        classes = cls.classes(options)
        if options.ids is None:
            yield from super().check(options, splits, archives)
        elif len(options.ids) != len(classes):
            yield ["ids"], f"has {len(options.ids)} ids for {len(classes)} classes; give one for each"
        elif len(set(options.ids)) < len(classes):
            yield ["ids"], "has an id twice; every class needs an id of its own"
        ids = list(range(len(classes))) if options.ids is None else list(options.ids)
        for key, given in (("ids", ids), ("ignored_ids", list(options.ignored_ids))):
            if wrong := [one for one in given if not 0 <= one <= 255]:
                yield [key], f"{wrong[0]} is no id of an 8-bit mask; use 0 to 255"
        if taken := [one for one in options.ignored_ids if one in ids]:
            yield (
                ["ignored_ids"],
                f"{taken[0]} is the id of class {classes[ids.index(taken[0])]!r}; leave it out",
            )
        if options.ids is not None and options.ignore_index in ids:
            name = classes[ids.index(options.ignore_index)]
            yield ["ignore_index"], f"{options.ignore_index} is the id of class {name!r}; use another one"

    Options, Split = MasksOptions, MasksSplit
    read = staticmethod(read_masks)
    sources = staticmethod(masks_sources)

    @classmethod
    def spec(cls, options: Any, split: Any) -> dict[str, Any]:
        """With the suffix of the data set's masks."""
        suffix = {"mask_suffix": options.mask_suffix} if options.mask_suffix else {}
        return {**super().spec(options, split), **suffix}
