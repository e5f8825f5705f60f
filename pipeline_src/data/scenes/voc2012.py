"""Writes scenes in the layout of PASCAL VOC2012, so that the real reader reads them.

`VOCdevkit/VOC2012` with JPEGImages, palette PNGs of classes and objects (255 on contours), XML
annotations and image sets; and, as SBD would add them, `SegmentationClassAug`: masks without void
for further images (split `aug`) and, as in SBD, for VOC's own ones too.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.scenes.scene import Scene, SceneObject
from pipeline_src.errors import InputError
from pipeline_src.evaluation.palette import index_image

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
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
        present[scene.id] = _presence(scene)
        for name, ids in (("SegmentationClass", scene.labels), ("SegmentationObject", scene.instances)):
            _save_index(np.where(scene.void, VOID, ids), folders[name] / f"{scene.id}.png")
        _annotation(scene).write(folders["Annotations"] / f"{scene.id}.xml", encoding="utf-8")
    _write_sets(sets, present, folders["ImageSets/Segmentation"], folders["ImageSets/Main"])
    return count


def _save_index(ids: NDArray[np.integer], path: Path) -> None:
    index_image(ids).save(path, optimize=False)


def _presence(scene: Scene) -> dict[int, bool]:
    """Labels of the scene; True where at least one object of the class is not difficult."""
    found: dict[int, bool] = {}
    for item in scene.objects:
        found[item.label] = found.get(item.label, False) or not item.difficult
    return found


def _write_sets(
    sets: dict[str, list[str]], present: dict[str, dict[int, bool]], segmentation: Path, main: Path
) -> None:
    lists = {**sets, "trainval": sorted(sets["train"] + sets["val"])}
    for name, ids in lists.items():
        for folder in (segmentation, main):
            (folder / f"{name}.txt").write_text("".join(f"{key}\n" for key in ids), encoding="utf-8")
        for label, word in enumerate(CLASSES, 1):
            # 1: present, 0: only difficult objects, -1: absent
            flags = ((key, present[key].get(label)) for key in ids)
            lines = (f"{key} {-1 if flag is None else int(flag):2d}\n" for key, flag in flags)
            (main / f"{word}_{name}.txt").write_text("".join(lines), encoding="utf-8")


def _annotation(scene: Scene) -> ET.ElementTree:
    height, width = scene.labels.shape
    root = ET.Element("annotation")
    _leaf(root, "folder", "VOC2012")
    _leaf(root, "filename", f"{scene.id}.jpg")
    source = ET.SubElement(root, "source")
    _leaf(source, "database", "generated scenes")
    _leaf(source, "annotation", "generated scenes")
    _leaf(source, "image", "generated")
    size = ET.SubElement(root, "size")
    for name, value in (("width", width), ("height", height), ("depth", 3)):
        _leaf(size, name, value)
    _leaf(root, "segmented", 1)
    for item in scene.objects:
        root.append(_object(item))
    ET.indent(root, "\t")
    return ET.ElementTree(root)


def _object(item: SceneObject) -> ET.Element:
    element = ET.Element("object")
    _leaf(element, "name", CLASSES[item.label - 1])
    _leaf(element, "pose", "Unspecified")
    _leaf(element, "truncated", int(item.truncated))
    _leaf(element, "occluded", int(item.occluded))
    _leaf(element, "difficult", int(item.difficult))
    box = ET.SubElement(element, "bndbox")
    left, top, right, bottom = item.box
    # VOC counts pixels from 1 and includes the last one
    for name, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        _leaf(box, name, value)
    return element


def _leaf(parent: ET.Element, name: str, value: object) -> None:
    ET.SubElement(parent, name).text = str(value)
