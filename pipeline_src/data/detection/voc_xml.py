"""Reads the objects of one annotation file in PASCAL VOC's XML. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from pipeline_src.data.detection.records import AnnotatedObject, box_problem

CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass
class ParsedXml:
    """Size (width, height) where the file states one, the objects, and what is wrong with the file."""

    size: tuple[int, int] | None = None
    objects: list[AnnotatedObject] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_voc_xml(data: bytes, name: str, labels: Mapping[str, int], pixels: bool = True) -> ParsedXml:
    """The objects of an annotation file, with borders as coordinates.

    `labels` maps class names to labels. With `pixels`, VOC's convention, coordinates count pixels from 1
    and the last one belongs to the box: `(xmin - 1, ymin - 1, xmax, ymax)`; only a box whose corners
    are one and the same pixel is taken for what it is in practice, a click without extent, and gets no
    area. Without, they are borders already. Parts of an object (`part`) are left out.

    Never raises for a bad file: `problems` has one line a finding, with the number of the object.
    """
    parsed = ParsedXml()
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        parsed.problems.append(f"annotation {name} is not valid XML ({error})")
        return parsed
    if root.tag != "annotation":
        parsed.problems.append(f"annotation {name} holds <{root.tag}>; VOC's files hold <annotation>")
        return parsed
    parsed.size = _size(root)
    for number, element in enumerate(root.findall("object"), 1):
        found = _object(element, labels, pixels)
        if isinstance(found, str):
            parsed.problems.append(f"annotation {name}, object {number}: {found}")
        else:
            parsed.objects.append(found)
    return parsed


def _size(root: ET.Element) -> tuple[int, int] | None:
    """Width and height; None where they are absent or 0, as annotation tools may leave them."""
    try:
        width, height = (int(root.findtext(f"size/{side}", "0")) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _object(element: ET.Element, labels: Mapping[str, int], pixels: bool) -> AnnotatedObject | str:
    """The object, or what is wrong with it."""
    word = (element.findtext("name") or "").strip()
    if word not in labels:
        return f"class {word!r} is unknown; the classes are {_some(labels)}"
    texts = [element.findtext(f"bndbox/{corner}") for corner in CORNERS]
    try:
        x1, y1, x2, y2 = (float(text) for text in texts if text is not None)
    except ValueError:
        stated = ", ".join(f"{corner} {text}" for corner, text in zip(CORNERS, texts))
        return f"{word} has no usable bndbox ({stated}); it needs {', '.join(CORNERS)} as numbers"
    if problem := box_problem((x1, y1, x2, y2)):
        return f"{word}: {problem}"
    if pixels:
        x1, y1 = x1 - 1, y1 - 1
        if (x1 + 1, y1 + 1) == (x2, y2):
            x2, y2 = x1, y1
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        return f"{word}: difficult is {difficult!r}; it must be 0 or 1"
    return AnnotatedObject(labels[word], (x1, y1, x2, y2), difficult=difficult == "1")


def _some(labels: Mapping[str, int], shown: int = 5) -> str:
    names = list(labels)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
