"""What the writers of VOC's layouts share: class names, annotation files and image sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from pipeline_src.data.readers.voc_classes import VOC_CLASSES
from pipeline_src.data.scenes.scene import Scene, SceneObject

CLASSES = VOC_CLASSES[1:]
"""The names of the objects: class 0 is the background."""


def presence(scene: Scene) -> dict[int, bool]:
    """Labels of the scene; True where at least one object of the class is not difficult."""
    found: dict[int, bool] = {}
    for item in scene.objects:
        found[item.label] = found.get(item.label, False) or not item.difficult
    return found


def write_class_lists(
    name: str, ids: Sequence[str], present: Mapping[str, Mapping[int, bool]], main: Path
) -> None:
    """The lists of an image set in `ImageSets/Main`, one for each class; `present` is by scene id."""
    for label, word in enumerate(CLASSES, 1):
        # 1: present, 0: only difficult objects, -1: absent
        flags = ((key, present[key].get(label)) for key in ids)
        lines = (f"{key} {-1 if flag is None else int(flag):2d}\n" for key, flag in flags)
        (main / f"{word}_{name}.txt").write_text("".join(lines), encoding="utf-8")


def write_list(path: Path, ids: Sequence[str]) -> None:
    """An image set: one id a line."""
    path.write_text("".join(f"{key}\n" for key in ids), encoding="utf-8")


def annotation(scene: Scene, name: str, folder: str, *, segmented: bool, occluded: bool) -> ET.ElementTree:
    """The annotation file of a scene that is saved as `<name>.jpg` in VOC's `folder`, such as VOC2012.

    A crowd, which VOC cannot express, becomes one difficult object. VOC2012 says of an object whether it
    is `occluded`, VOC2007 does not.
    """
    height, width = scene.labels.shape
    root = ET.Element("annotation")
    _leaf(root, "folder", folder)
    _leaf(root, "filename", f"{name}.jpg")
    source = ET.SubElement(root, "source")
    _leaf(source, "database", "generated scenes")
    _leaf(source, "annotation", "generated scenes")
    _leaf(source, "image", "generated")
    size = ET.SubElement(root, "size")
    for name, value in (("width", width), ("height", height), ("depth", 3)):
        _leaf(size, name, value)
    _leaf(root, "segmented", int(segmented))
    for item in scene.objects:
        root.append(_object(item, occluded))
    ET.indent(root, "\t")
    return ET.ElementTree(root)


def _object(item: SceneObject, occluded: bool) -> ET.Element:
    element = ET.Element("object")
    _leaf(element, "name", CLASSES[item.label - 1])
    _leaf(element, "pose", "Unspecified")
    _leaf(element, "truncated", int(item.truncated))
    if occluded:
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
