"""Finds out how a user's folders are laid out, and makes the `splits` entry that says so.

The user's folders are only read; lists and annotation files that have to be made stand beside the overlay.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_src.data.file_names import IMAGE_SUFFIXES, FilesByStem, list_folder, read_list
from pipeline_src.data.readers.mask_folders import MASK_SUFFIXES
from pipeline_src.errors import InputError
from pipeline_src.files import write_text
from pipeline_src.looking.splits import Grouping, split_names
from pipeline_src.predicting.images import images_below

VAL_NAMES = ("val", "valid", "validation", "test")
TRIED = 50
"""Images by whose names a suffix of masks is looked for."""


@dataclass
class Layout:
    """A data set's entry as far as folders say it: `root`, and a `split` section for each split.

    `made` are files that the overlay needs, with their text, to be written once all is well. `origin` says
    where the splits come from.
    """

    root: Path
    splits: dict[str, dict[str, Any]]
    origin: str
    made: dict[Path, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Splitting:
    """How a data set without splits is split, and the folder for the lists."""

    folder: Path
    seed: int = 0
    group_by: Grouping = "none"

    @property
    def origin(self) -> str:
        """It in words."""
        groups = "" if self.group_by == "none" else f", images of one {self.group_by} together"
        return f"made with seed {self.seed}{groups}; lists in {self.folder}/"


def pairs_of_folders(
    first: Path,
    second: Path,
    keys: tuple[str, str],
    splitting: Splitting,
    val: tuple[Path, Path] | None = None,
    suffix: str = "",
) -> Layout:
    """Images and masks, or images and annotations, in two folders.

    Splits are `val`, given by the user; folders `train` and `val` below both or above both; lists
    `train.txt` and `val.txt` beside them; or else made. `suffix` is what masks have that lie among images.

    Raises `InputError` where a folder or all images are missing.
    """
    for folder in (first, second, *(val or ())):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    origin = "as given"
    if val is None:
        origin = "folders that are there"
        val = next((pair for pair in _counterparts(first, second) if all(one.is_dir() for one in pair)), None)
    parts = {"train": (first, second)} | ({"val": val} if val else {})
    if val is None and (names := _names_of_splits(first, second)):
        parts = {split: (first / name, second / name) for split, name in names.items()}
    root = common_folder([folder for pair in parts.values() for folder in pair])
    if len(parts) > 1:
        layout = Layout(root, {}, origin)
        for name, pair in parts.items():
            images = _images(*pair, suffix)
            layout.splits[name] = _split(root, keys, pair)
            if any("/" in stem for stem in images.names):  # in folders below, which a list has to name
                _add_list(layout, splitting.folder / f"{name}.txt", name, images.names)
        return layout
    images, split = _images(first, second, suffix), _split(root, keys, (first, second))
    near = [root, first.parent, root / "ImageSets/Segmentation", root / "ImageSets/Main"]
    lists, warnings = _lists_in(near, images)
    if lists is not None:
        entries = {name: {**split, "list": below_root(root, path)} for name, path in lists.items()}
        return Layout(root, entries, f"lists {' and '.join(path.name for path in lists.values())}")
    layout = Layout(root, {name: dict(split) for name in ("train", "val")}, splitting.origin)
    layout.warnings += warnings
    stems = sorted(images.names)
    if splitting.group_by == "none" and any("/" in stem for stem in stems):
        layout.warnings.append(
            "images lie in folders; if those of one folder are alike, as frames are, say --group-by folder"
        )
    made = split_names(stems, splitting.seed, group_by=splitting.group_by)
    for name, chosen in zip(("train", "val"), made, strict=True):
        _add_list(layout, splitting.folder / f"{name}.txt", name, chosen)
    return layout


def mask_suffix(images: Path, masks: Path) -> str:
    """What the masks' stems have after the images', such as `_mask`; empty where stems are the same.

    Raises `InputError` where no image has a mask, and where images and masks cannot be told apart.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    same = images.resolve() == masks.resolve()
    stems = set(_images(images, masks, "").names)
    files = images_in(masks) if same else _names_in(masks)
    of_masks = FilesByStem(files, MASK_SUFFIXES).names.keys()
    if not same and stems & of_masks:
        return ""
    ends: dict[str, int] = {}
    for stem in sorted(stems)[:TRIED]:
        for mask in (one for one in of_masks if len(one) > len(stem) and one.startswith(stem)):
            ends.setdefault(mask[len(stem) :], 0)
    for end in ends:
        ends[end] = sum(stem + end in of_masks for stem in stems)
    best = max(ends, key=lambda end: ends[end], default="")
    if best and (same or 2 * ends[best] >= len(stems)):
        return best
    what = f"{len(stems)} images and {len(of_masks)} masks ({', '.join(MASK_SUFFIXES)})"
    raise InputError(
        f"no image of {images} has a mask in {masks}: there are {what}; a mask has its image's name"
        + (f", such as {min(stems)}.png" if stems else "")
    )


def write_made(layout: Layout) -> None:
    """Write the files that the overlay needs."""
    for path, text in layout.made.items():
        write_text(path, text)


def images_in(folder: Path) -> list[str]:
    """Names of the images in a folder."""
    return [name for name in list_folder(folder) if name.lower().endswith(IMAGE_SUFFIXES)]


def counterparts(path: Path) -> Iterator[Path]:
    """What a path of training data may be called for validation: `val` for `train` in its last such part."""
    parts = path.resolve().parts
    place = next((at for at in range(len(parts) - 1, 0, -1) if "train" in parts[at].lower()), None)
    if place is None:
        return
    part = parts[place]
    at = part.lower().rindex("train")
    for name in VAL_NAMES:
        for word in ("training", "train"):
            if part[at : at + len(word)].lower() == word:
                yield Path(*parts[:place], part[:at] + name + part[at + len(word) :], *parts[place + 1 :])


def _counterparts(first: Path, second: Path) -> Iterator[tuple[Path, Path]]:
    yield from zip(counterparts(first), counterparts(second), strict=False)


def _names_of_splits(first: Path, second: Path) -> dict[str, str]:
    """Folders below both, by split: `train` and `val`, also `train2017`; empty where there are not both."""
    names = sorted({path.name for path in first.iterdir() if path.is_dir() and (second / path.name).is_dir()})

    def called(word: str) -> str | None:
        return next(
            (name for name in reversed(names) if re.fullmatch(rf"{word}([\W_]?\d+)?", name.lower())), None
        )

    train = called("train(ing)?")
    val = next((name for word in VAL_NAMES if (name := called(word))), None)
    return {"train": train, "val": val} if train and val else {}


def below_root(root: Path, path: Path) -> str:
    """A path as an overlay states it: below the root, or as a whole."""
    whole = path.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)


def _images(folder: Path, beside: Path, suffix: str) -> FilesByStem:
    """The images of a folder, or of those below it; an `InputError` where there is none."""
    names = images_in(folder)
    if not names:
        apart = beside if beside.resolve() != folder.resolve() else None
        try:
            names = images_below(folder, apart)
        except InputError:
            raise InputError(f"{folder}: holds no image; images end in {', '.join(IMAGE_SUFFIXES)}") from None
    found = FilesByStem(names, IMAGE_SUFFIXES)
    if suffix and folder.resolve() == beside.resolve():
        found.names = {stem: files for stem, files in found.names.items() if not stem.endswith(suffix)}
    return found


def _names_in(folder: Path) -> list[str]:
    names = list_folder(folder)
    if any(name.lower().endswith(MASK_SUFFIXES) for name in names):
        return names
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _add_list(layout: Layout, path: Path, name: str, entries: Sequence[str] | dict[str, Any]) -> None:
    layout.made[path] = "\n".join(entries) + "\n"
    layout.splits[name]["list"] = below_root(layout.root, path)


def _lists_in(folders: Sequence[Path], images: FilesByStem) -> tuple[dict[str, Path] | None, list[str]]:
    """The first pair of lists that name nothing but images that are there; a line about those that do not."""
    warnings = []
    for folder in dict.fromkeys(folders):
        if not (folder / "train.txt").is_file():
            continue
        held_out = [path for name in VAL_NAMES if (path := folder / f"{name}.txt").is_file()]
        for path in (folder / "train.txt", *held_out[:1]):
            lost = [entry for entry in read_list(path) if images.stem_of(entry) is None]
            if lost:
                warnings.append(f"{path} is not used: it names {lost[0]!r}, which is no image here")
                break
        else:
            if held_out:
                return {"train": folder / "train.txt", "val": held_out[0]}, []
    return None, warnings


def _split(root: Path, keys: tuple[str, str], folders: tuple[Path, Path]) -> dict[str, Any]:
    return {key: below_root(root, folder) for key, folder in zip(keys, folders, strict=True)}


def common_folder(folders: Sequence[Path]) -> Path:
    """The folder that holds all of them; it is theirs alone where they are one."""
    resolved = [folder.resolve() for folder in folders]
    shared = resolved[0]
    while not all(folder.is_relative_to(shared) for folder in resolved):
        shared = shared.parent
    return shared
