"""Writes scenes in the layout of PASCAL VOC2012, so that the real reader reads them.

`VOCdevkit/VOC2012` with JPEGImages, palette PNGs of classes and objects (255 on contours), XML
annotations and image sets; and, as SBD would add them, `SegmentationClassAug`: masks without void
for further images (split `aug`) and, as in SBD, for VOC's own ones too.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.scenes.scene import Scene
from pipeline_src.data.scenes.voc_parts import annotation, presence, write_class_lists, write_list
from pipeline_src.errors import InputError
from pipeline_src.evaluation.palette import index_image

SPLITS = ("train", "val", "aug")
VOID = 255
JPEG_QUALITY = 95


def write_voc2012(scenes: Iterable[Scene], root: Path) -> int:
    """Write scenes of the splits `train`, `val` and `aug` below `root`; returns how many there were.

    Class ids 1..20 get VOC's names in order. A crowd, which VOC cannot express, becomes one
    difficult object. Raises `InputError` for another split.
    """
    voc = root / "VOCdevkit" / "VOC2012"
    folders = {
        name: voc / name
        for name in (
            "JPEGImages",
            "SegmentationClass",
            "SegmentationObject",
            "SegmentationClassAug",
            "Annotations",
            "ImageSets/Segmentation",
            "ImageSets/Main",
        )
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    sets: dict[str, list[str]] = {"train": [], "val": []}
    present: dict[str, dict[int, bool]] = {}
    count = 0
    for scene in scenes:
        if scene.split not in SPLITS:
            raise InputError(
                f"images: VOC2012's layout has no split {scene.split!r}; use {', '.join(SPLITS)}"
            )
        image = Image.fromarray(scene.image)
        image.save(folders["JPEGImages"] / f"{scene.id}.jpg", quality=JPEG_QUALITY, subsampling=0)
        _save_index(scene.labels, folders["SegmentationClassAug"] / f"{scene.id}.png")
        count += 1
        if scene.split == "aug":
            continue
        sets[scene.split].append(scene.id)
        present[scene.id] = presence(scene)
        for name, ids in (("SegmentationClass", scene.labels), ("SegmentationObject", scene.instances)):
            _save_index(np.where(scene.void, VOID, ids), folders[name] / f"{scene.id}.png")
        tree = annotation(scene, scene.id, "VOC2012", segmented=True, occluded=True)
        tree.write(folders["Annotations"] / f"{scene.id}.xml", encoding="utf-8")
    _write_sets(sets, present, folders["ImageSets/Segmentation"], folders["ImageSets/Main"])
    return count


def _save_index(ids: NDArray[np.integer], path: Path) -> None:
    index_image(ids).save(path, optimize=False)


def _write_sets(
    sets: dict[str, list[str]], present: dict[str, dict[int, bool]], segmentation: Path, main: Path
) -> None:
    lists = {**sets, "trainval": sorted(sets["train"] + sets["val"])}
    for name, ids in lists.items():
        for folder in (segmentation, main):
            write_list(folder / f"{name}.txt", ids)
        write_class_lists(name, ids, present, main)
