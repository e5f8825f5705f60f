"""Writes scenes in the layout of COCO's archives, so that the real reader reads them.

`<set>/<12 digits>.jpg` and `annotations/instances_<set>.json` with all sections of the real files.
Outlines are run-length encoded, crowds as COCO has them and single objects too: a ring, or what is left
of a covered object, is no polygon.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.coco_categories import COCO_CATEGORIES
from pipeline_src.data.scenes.scene import Scene, SceneObject
from pipeline_src.errors import InputError

SETS = {"train": ("train2017", 1), "val": ("val2017", 500_001)}
"""Image set and first image id, by split; ids are unique over both, as COCO's are."""

JPEG_QUALITY = 95
DATE = "2017-01-01 00:00:00"


def write_coco(scenes: Iterable[Scene], root: Path) -> int:
    """Write scenes of the splits `train` and `val` below `root`; returns how many there were.

    Object class c becomes the c-th of COCO's categories, so that ids have COCO's gaps. A scene without
    objects is an image without annotations. Raises `InputError` for another split.
    """
    images: dict[str, list[dict[str, Any]]] = {split: [] for split in SETS}
    annotations: dict[str, list[dict[str, Any]]] = {split: [] for split in SETS}
    number = 0
    for name, _ in SETS.values():
        (root / name).mkdir(parents=True, exist_ok=True)
    for scene in scenes:
        if scene.split not in SETS:
            raise InputError(f"images: COCO's layout has no split {scene.split!r}; use {', '.join(SETS)}")
        folder, first = SETS[scene.split]
        key = first + len(images[scene.split])
        file = f"{key:012d}.jpg"
        Image.fromarray(scene.image).save(root / folder / file, quality=JPEG_QUALITY, subsampling=0)
        images[scene.split].append(_image(scene, key, file))
        for item in scene.objects:
            number += 1
            annotations[scene.split].append(_annotation(scene, item, key, number))
    (root / "annotations").mkdir(exist_ok=True)
    for split, (name, _) in SETS.items():
        content = {
            "info": {"description": "generated scenes", "version": "1.0", "year": 2017, "date_created": DATE},
            "licenses": [{"id": 1, "name": "generated", "url": ""}],
            "images": images[split],
            "annotations": annotations[split],
            "categories": [
                {"supercategory": category.group, "id": category.id, "name": category.name}
                for category in COCO_CATEGORIES
            ],
        }
        text = json.dumps(content, separators=(",", ":"))
        (root / "annotations" / f"instances_{name}.json").write_text(text, encoding="utf-8")
    return sum(map(len, images.values()))


def _image(scene: Scene, key: int, file: str) -> dict[str, Any]:
    height, width = scene.labels.shape
    return {
        "license": 1,
        "file_name": file,
        "coco_url": "",
        "height": height,
        "width": width,
        "date_captured": DATE,
        "flickr_url": "",
        "id": key,
    }


def _annotation(scene: Scene, item: SceneObject, image: int, number: int) -> dict[str, Any]:
    left, top, right, bottom = item.box
    return {
        "segmentation": run_lengths(scene.instances == item.instance),
        "area": item.area,
        "iscrowd": int(item.crowd),
        "image_id": image,
        "bbox": [left, top, right - left, bottom - top],
        "category_id": COCO_CATEGORIES[item.label - 1].id,
        "id": number,
    }


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """COCO's uncompressed encoding of a mask `(H, W)`: runs down the columns, background first."""
    pixels = np.concatenate([[False], mask.ravel(order="F"), [not mask[-1, -1]]])
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    return {"counts": np.diff(edges, prepend=0).tolist(), "size": list(mask.shape)}
