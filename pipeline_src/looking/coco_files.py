"""Finds out what COCO's JSON files hold, where their images are, and makes a split where one is needed."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import read_json
from pipeline_src.looking.folders import Layout, Splitting, below_root, common_folder, counterparts
from pipeline_src.looking.splits import split_names

TRIED = 500
"""Images that are looked for in a folder."""

NEEDED = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id"),
    "categories": ("id", "name"),
}


def load_coco(path: Path) -> dict[str, Any]:
    """A file in COCO's format; an `InputError` names the section and the key that are not there."""
    value = read_json(path)
    for section, keys in NEEDED.items():
        entries = value.get(section) if isinstance(value, dict) else None
        if not isinstance(entries, list):
            raise InputError(f"{path}: is not COCO's format: it has no list of {section}")
        for number, entry in enumerate(entries):
            for key in keys:
                if not isinstance(entry, dict) or key not in entry:
                    raise InputError(f"{path}: is not COCO's format: {section}[{number}] has no {key}")
    if not value["images"]:
        raise InputError(f"{path}: lists no image")
    return dict(value)


def coco_categories(files: Mapping[Path, dict[str, Any]]) -> list[str]:
    """Names of the categories that have boxes in one of the files, by their ids; an `InputError` for none."""
    found: dict[str, str] = {}
    for value in files.values():
        used = {_id(entry["category_id"]) for entry in value["annotations"]}
        found |= {_id(one["id"]): str(one["name"]) for one in value["categories"] if _id(one["id"]) in used}
    if not found:
        raise InputError(
            f"{next(iter(files))}: no category has an annotation; nothing can be learned from it"
        )
    return list(dict.fromkeys(found[key] for key in sorted(found, key=lambda key: key.zfill(12))))


def val_file(train: Path) -> Path | None:
    """The file for validation beside one for training, called `val` for `train` in its name or its folder."""
    return next((path for path in counterparts(train) if path.is_file()), None)


def coco_layout(files: Mapping[Path, dict[str, Any]], images: Path | None, splitting: Splitting) -> Layout:
    """One annotation file, which is split, or those for training and validation.

    `images` is where file names start. Raises `InputError` where the images are not found.
    """
    (train, value), *others = files.items()
    folder = images or _images_of(train, value)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not _holds(folder, value):
        first = value["images"][0]["file_name"]
        raise InputError(f"{folder}: holds none of the images of {train}, such as {first}")
    for held_out, of_val in others:
        place = images if images is not None and _holds(images, of_val) else _images_of(held_out, of_val)
        root = common_folder([folder, place, train.parent, held_out.parent])
        pairs = {"train": (folder, train), "val": (place, held_out)}
        splits = {
            split: {"images": below_root(root, one), "annotations": below_root(root, path)}
            for split, (one, path) in pairs.items()
        }
        return Layout(root, splits, f"{train.name} and {held_out}")
    root = common_folder([folder, train.parent])
    names = list(dict.fromkeys(str(one["file_name"]) for one in value["images"]))
    parts = split_names(names, splitting.seed, group_by=splitting.group_by)
    layout = Layout(root, {}, splitting.origin)
    for split, part in zip(("train", "val"), parts, strict=True):
        kept = set(part)
        path = splitting.folder / f"{split}.json"
        chosen = [one for one in value["images"] if str(one["file_name"]) in kept]
        ids = {_id(one["id"]) for one in chosen}
        boxes = [one for one in value["annotations"] if _id(one["image_id"]) in ids]
        layout.made[path] = json.dumps({**value, "images": chosen, "annotations": boxes}, ensure_ascii=False)
        layout.splits[split] = {"images": below_root(root, folder), "annotations": below_root(root, path)}
    return layout


def _id(value: Any) -> str:
    """An id as the reader compares it: 7, 7.0 and "7" are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _images_of(annotations: Path, value: dict[str, Any]) -> Path:
    """Where the images of an annotation file probably are: a few of its file names are looked for."""
    for folder in _candidates(annotations):
        if folder.is_dir() and _holds(folder, value):
            return folder
    name = value["images"][0]["file_name"]
    raise InputError(
        f"{annotations}: its images, such as {name}, are not near it; give --images, the folder of images"
    )


def _holds(folder: Path, value: dict[str, Any]) -> bool:
    """Whether some image is there; a part of a large data set lacks many."""
    images = value["images"]
    return any((folder / str(one["file_name"])).is_file() for one in images[:: max(1, len(images) // TRIED)])


def _candidates(annotations: Path) -> Iterator[Path]:
    stem = annotations.stem.removeprefix("instances_")
    for base in (annotations.parent, annotations.parent.parent):
        yield from (base, base / "images", base / annotations.stem, base / stem, base / "images" / stem)
    for base in (annotations.parent, annotations.parent.parent):
        if (base / "images").is_dir():
            yield from sorted(path for path in (base / "images").iterdir() if path.is_dir())
