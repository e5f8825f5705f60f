"""Finds out what COCO's JSON files hold, where their images are, and makes a split where one is needed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import read_json
from pipeline_src.looking.folders import Layout, Splitting, below_root, common_folder, counterparts
from pipeline_src.looking.splits import split_names

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


def coco_categories(path: Path, value: dict[str, Any]) -> list[str]:
    """Names of the categories that have boxes, by their ids; an `InputError` where none has."""
    used = {str(entry["category_id"]) for entry in value["annotations"]}
    found = [
        (str(entry["id"]), str(entry["name"])) for entry in value["categories"] if str(entry["id"]) in used
    ]
    if not found:
        raise InputError(f"{path}: no category has an annotation; nothing can be learned from it")
    return list(dict.fromkeys(name for _, name in sorted(found, key=lambda pair: pair[0].zfill(12))))


def val_file(train: Path) -> Path | None:
    """The file for validation beside one for training, called `val` for `train` in its name or its folder."""
    return next((path for path in counterparts(train) if path.is_file()), None)


def coco_layout(
    train: Path,
    value: dict[str, Any],
    val: Path | None,
    images: Path | None,
    splitting: Splitting,
) -> Layout:
    """One annotation file, which is split, or one for each split; `images` is where its file names start.

    Raises `InputError` where the images are not found.
    """
    folder = images or _images_of(train, value)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if images is not None and not any((folder / str(one["file_name"])).is_file() for one in value["images"]):
        raise InputError(
            f"{folder}: holds none of the images of {train}, such as {value['images'][0]['file_name']}"
        )
    if (held_out := val or val_file(train)) is not None:
        of_val = load_coco(held_out)
        name = str(of_val["images"][0]["file_name"])
        place = images if images is not None and (images / name).is_file() else _images_of(held_out, of_val)
        root = common_folder([folder, place, train.parent, held_out.parent])
        pairs = {"train": (folder, train), "val": (place, held_out)}
        splits = {
            split: {"images": below_root(root, one), "annotations": below_root(root, path)}
            for split, (one, path) in pairs.items()
        }
        return Layout(root, splits, "as given" if val else f"{held_out} is there")
    root = common_folder([folder, train.parent])
    names = list(dict.fromkeys(str(one["file_name"]) for one in value["images"]))
    parts = split_names(names, splitting.seed, group_by=splitting.group_by)
    layout = Layout(root, {}, splitting.origin)
    for split, part in zip(("train", "val"), parts, strict=True):
        kept = set(part)
        path = splitting.folder / f"{split}.json"
        chosen = [one for one in value["images"] if str(one["file_name"]) in kept]
        ids = {str(one["id"]) for one in chosen}
        boxes = [one for one in value["annotations"] if str(one["image_id"]) in ids]
        layout.made[path] = json.dumps({**value, "images": chosen, "annotations": boxes}, ensure_ascii=False)
        layout.splits[split] = {"images": below_root(root, folder), "annotations": below_root(root, path)}
    return layout


def _images_of(annotations: Path, value: dict[str, Any]) -> Path:
    """Where the images of an annotation file probably are: the first file name is looked for."""
    name = str(value["images"][0]["file_name"])
    for folder in _candidates(annotations):
        if (folder / name).is_file():
            return folder
    raise InputError(
        f"{annotations}: its image {name} was not found near it; give --images, the folder of images"
    )


def _candidates(annotations: Path) -> Iterator[Path]:
    stem = annotations.stem.removeprefix("instances_")
    for base in (annotations.parent, annotations.parent.parent):
        yield from (base, base / "images", base / annotations.stem, base / stem, base / "images" / stem)
