"""Finds out how a user's folders are laid out, and makes the `datasets` entry that says so.

The user's folders are only read; lists and annotation files that have to be made stand beside the overlay.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_src.data.records import IMAGE_SUFFIXES, list_folder, read_list
from pipeline_src.errors import InputError
from pipeline_src.files import read_json, write_text
from pipeline_src.looking.splits import Grouping, split_names

VAL_NAMES = ("val", "valid", "validation", "test")


@dataclass
class Layout:
    """A data set's entry as far as folders say it: `root`, and a `split` section for each split.

    `made` are files that the overlay needs, with their text, to be written once all is well.
    """

    root: Path
    splits: dict[str, dict[str, Any]]
    made: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Splitting:
    """How a data set without splits is split, and the folder for the lists."""

    folder: Path
    seed: int = 0
    group_by: Grouping = "none"


def pairs_of_folders(
    first: Path,
    second: Path,
    keys: tuple[str, str],
    splitting: Splitting,
    val: tuple[Path, Path] | None = None,
) -> Layout:
    """Images and masks, or images and annotations, in two folders.

    Splits are `val`, given by the user; folders `train` and `val` below both; lists `train.txt` and
    `val.txt` beside them; or else made. Raises `InputError` where a folder or all images are missing.
    """
    for folder in (first, second, *(val or ())):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    root = _common([first, second, *(val or ())])
    if val is not None:
        return Layout(root, {"train": _split(root, keys, (first, second)), "val": _split(root, keys, val)})
    below = {name: (first / name, second / name) for name in ("train", *VAL_NAMES)}
    there = [name for name, pair in below.items() if all(folder.is_dir() for folder in pair)]
    if "train" in there and len(there) > 1:
        return Layout(
            root,
            {"train": _split(root, keys, below["train"]), "val": _split(root, keys, below[there[1]])},
        )
    names = images_in(first)
    if not names:
        raise InputError(f"{first}: holds no image; images end in {', '.join(IMAGE_SUFFIXES)}")
    split = _split(root, keys, (first, second))
    stems = [Path(name).stem for name in names]
    near = [root, first.parent, root / "ImageSets/Segmentation", root / "ImageSets/Main"]
    lists = _lists_in(near, {*names, *stems})
    if lists is not None:
        train, held_out = (_below(root, path) for path in lists)
        return Layout(root, {"train": {**split, "list": train}, "val": {**split, "list": held_out}})
    made = dict(
        zip(("train", "val"), split_names(stems, splitting.seed, group_by=splitting.group_by), strict=True)
    )
    paths = {name: splitting.folder / f"{name}.txt" for name in made}
    return Layout(
        root,
        {name: {**split, "list": _below(root, path)} for name, path in paths.items()},
        {paths[name]: "\n".join(entries) + "\n" for name, entries in made.items()},
    )


def coco_files(train: Path, val: Path | None, images: Path | None, splitting: Splitting) -> Layout:
    """One annotation file, which is split, or one for each split; `images` is where its file names start.

    Raises `InputError` where the images are not found.
    """
    folder = images or _images_of(train)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    root = _common([folder, train.parent])
    entry = {"images": _below(root, folder)}
    if val is not None:
        files = {"train": train, "val": val}
        return Layout(
            root, {name: {**entry, "annotations": _below(root, path)} for name, path in files.items()}
        )
    value = read_json(train)
    names = {str(one["id"]): str(one["file_name"]) for one in value["images"]}
    parts = split_names(list(names.values()), splitting.seed, group_by=splitting.group_by)
    layout = Layout(root, {})
    for name, part in zip(("train", "val"), parts, strict=True):
        kept = set(part)
        path = splitting.folder / f"{name}.json"
        chosen = [one for one in value["images"] if str(one["file_name"]) in kept]
        ids = {str(one["id"]) for one in chosen}
        boxes = [one for one in value["annotations"] if str(one["image_id"]) in ids]
        layout.made[path] = json.dumps({**value, "images": chosen, "annotations": boxes}, ensure_ascii=False)
        layout.splits[name] = {**entry, "annotations": _below(root, path)}
    return layout


def write_made(layout: Layout) -> None:
    """Write the files that the overlay needs."""
    for path, text in layout.made.items():
        write_text(path, text)


def images_in(folder: Path) -> list[str]:
    """Names of the images in a folder."""
    return [name for name in list_folder(folder) if Path(name).suffix.lower() in IMAGE_SUFFIXES]


def _images_of(annotations: Path) -> Path:
    """Where the images of an annotation file probably are: the first file name is looked for."""
    value = read_json(annotations)
    try:
        name = str(value["images"][0]["file_name"])
    except (TypeError, KeyError, IndexError):
        raise InputError(f"{annotations}: is not in COCO's format, or lists no image") from None
    near = [annotations.parent, annotations.parent.parent]
    candidates = [folder for base in near for folder in (base, base / "images", base / annotations.stem)]
    for folder in candidates:
        if (folder / name).is_file():
            return folder
    raise InputError(
        f"{annotations}: its image {name} was not found near it; give --images, the folder of images"
    )


def _lists_in(folders: Sequence[Path], known: set[str]) -> tuple[Path, Path] | None:
    """The first pair of lists that name nothing but images that are there."""

    def fits(path: Path) -> bool:
        return path.is_file() and set(read_list(path)) <= known

    for folder in folders:
        found = [path for name in VAL_NAMES if fits(path := folder / f"{name}.txt")]
        if fits(folder / "train.txt") and found:
            return folder / "train.txt", found[0]
    return None


def _split(root: Path, keys: tuple[str, str], folders: tuple[Path, Path]) -> dict[str, Any]:
    return {key: _below(root, folder) for key, folder in zip(keys, folders, strict=True)}


def _common(folders: Sequence[Path]) -> Path:
    """The folder that holds all of them; it is theirs alone where they are one."""
    resolved = [folder.resolve() for folder in folders]
    shared = resolved[0]
    while not all(folder.is_relative_to(shared) for folder in resolved):
        shared = shared.parent
    return shared


def _below(root: Path, path: Path) -> str:
    """A path as an overlay states it: below the root, or as a whole."""
    whole = path.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)
