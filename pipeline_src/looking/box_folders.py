"""Finds the images and the annotations in folders of VOC's XML and of YOLO's labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline_src.data.file_names import list_folder
from pipeline_src.errors import InputError
from pipeline_src.looking.folders import VAL_NAMES, Layout, Splitting, images_in, pairs_of_folders

IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
XML_FOLDERS = ("Annotations", "annotations", "xml", "labels", "xmls")
YOLO_FILES = ("data.yaml", "data.yml", "dataset.yaml")


def voc_folders(folder: Path, images: Path | None) -> tuple[Path, Path]:
    """Images and XML files: side by side in one folder, in two below it, or in a VOC folder below that.

    Raises `InputError` where there are none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    for base in (folder, *sorted(folder.glob("VOC2*")), *sorted(folder.glob("VOCdevkit/VOC*"))):
        inner = next((base / name for name in XML_FOLDERS if (base / name).is_dir()), None)
        beside = images or next((base / name for name in IMAGE_FOLDERS if (base / name).is_dir()), None)
        if inner is not None and beside is not None:
            return beside, inner
    if any(name.lower().endswith(".xml") for name in list_folder(folder)):
        if images is not None or images_in(folder):
            return images or folder, folder
        raise InputError(f"{folder}: holds XML files and no image; give --images, the folder of images")
    if images is not None and any(folder.rglob("*.xml")):
        return images, folder
    raise InputError(
        f"{folder}: has no XML files beside images, and no folders such as JPEGImages and Annotations"
    )


def read_yolo_file(root: Path) -> dict[str, Any]:
    """What `data.yaml` says; empty where there is none. Raises `InputError` for a damaged one."""
    for path in (root / name for name in YOLO_FILES):
        if not path.is_file():
            continue
        try:
            value = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except (yaml.YAMLError, UnicodeDecodeError):
            raise InputError(f"{path}: is no YAML") from None
        if (
            not isinstance(value, dict)
            or not isinstance(value.get("names"), list | dict)
            or not value["names"]
        ):
            raise InputError(f"{path}: has no names; it needs a list of class names under `names`")
        return value
    return {}


def yolo_classes(root: Path, stated: dict[str, Any]) -> list[str]:
    """Names in order of their numbers, from `data.yaml` or `classes.txt`; an `InputError` without either."""
    names = stated.get("names")
    if isinstance(names, dict):
        try:
            by_number = {int(key): str(name) for key, name in names.items()}
        except (TypeError, ValueError):
            raise InputError(
                f"{root}: `names` of data.yaml has keys that are no numbers of classes"
            ) from None
        return [by_number.get(number, f"class_{number}") for number in range(max(by_number) + 1)]
    if names:
        return [str(name) for name in names]
    for path in (root / "classes.txt", root / "labels/classes.txt"):
        if path.is_file():
            try:
                found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
            except UnicodeDecodeError:
                raise InputError(f"{path}: is no text in UTF-8") from None
            return [name for name in found if name]
    raise InputError(f"{root}: neither data.yaml nor classes.txt is there; one of them names the classes")


def yolo_layout(root: Path, stated: dict[str, Any], splitting: Splitting) -> Layout:
    """Splits as `data.yaml` names them, as folders are called, or made of `images` and `labels`.

    Raises `InputError` where a folder is missing.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    keys = ("images", "labels")
    said = {name: _stated_folder(root, stated, name) for name in ("train", *VAL_NAMES)}
    train, held_out = said["train"], next((said[name] for name in VAL_NAMES if said[name]), None)
    if train and held_out and train != held_out:
        return pairs_of_folders(train, _labels(train), keys, splitting, (held_out, _labels(held_out)))
    if (root / "train/images").is_dir():
        train = root / "train/images"
        others = (root / name / "images" for name in VAL_NAMES)
        val = next(((one, _labels(one)) for one in others if one.is_dir()), None)
        return pairs_of_folders(train, _labels(train), keys, splitting, val)
    images = train if train and not held_out else root / "images"
    return pairs_of_folders(images, _labels(images), keys, splitting)


def _stated_folder(root: Path, stated: dict[str, Any], name: str) -> Path | None:
    """The folder of images that `data.yaml` names for a split, where it is there."""
    text = stated.get(name)
    if not isinstance(text, str):
        return None
    return next((path for path in _places(root, str(stated.get("path") or "."), text) if path.is_dir()), None)


def _places(root: Path, base: str, text: str) -> Iterator[Path]:
    # Roboflow writes `../train/images` for what lies beside the file
    for start in (root / base, root):
        yield start / text
        yield start / text.removeprefix("../").removeprefix("../")


def _labels(images: Path) -> Path:
    """The labels of a folder of images: `labels` for the last `images` of its path, or that folder itself."""
    parts = images.parts
    at = next((place for place in range(len(parts) - 1, -1, -1) if parts[place] == "images"), None)
    if at is None:
        beside = images.parent / "labels" / images.name
        return beside if beside.is_dir() else images
    return Path(*parts[:at], "labels", *parts[at + 1 :])
