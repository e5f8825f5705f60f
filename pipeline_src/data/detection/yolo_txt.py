"""Reads the objects of one label file in YOLO's text format. Standard library only.

A line is `class x y w h`: the class by its number from 0, the centre of the box and its width and height as
fractions of the image's. An empty file is an image without objects.
"""

import math

from pipeline_src.data.detection.records import AnnotatedObject

TOLERANCE = 1e-3
"""By how much a rounded fraction may leave 0 to 1."""


def parse_yolo(
    data: bytes, name: str, classes: int, size: tuple[int, int]
) -> tuple[list[AnnotatedObject], list[str]]:
    """The objects of a label file, with borders in pixels, and what is wrong with it.

    `size` is the image's (width, height).
    `classes` is the number of classes without the background; class 0 gets label 1. Never raises for a bad
    file: a problem is one line with the number of the line that it is in.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [], [f"labels {name} are no text in UTF-8"]
    objects, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _object(line.split(), classes, size)
        if isinstance(found, str):
            problems.append(f"labels {name}, line {number}: {found}")
        else:
            objects.append(found)
    return objects, problems


def _object(cells: list[str], classes: int, size: tuple[int, int]) -> AnnotatedObject | str:
    """The object, or what is wrong with its line."""
    if len(cells) != 5:
        more = "; outlines and keypoints are not read" if len(cells) > 5 else ""
        return f"has {len(cells)} columns; a box is `class x y w h`{more}"
    try:
        number, values = float(cells[0]), [float(cell) for cell in cells[1:]]
    except ValueError:
        return f"{' '.join(cells)!r} is not five numbers"
    if not number.is_integer() or not 0 <= number < classes:
        return f"class {cells[0]} is none of 0 to {classes - 1}"
    if not all(math.isfinite(value) and -TOLERANCE <= value <= 1 + TOLERANCE for value in values):
        return f"box ({', '.join(cells[1:])}) is not in fractions of the image, 0 to 1"
    x, y, w, h = values
    width, height = size
    box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    return AnnotatedObject(int(number) + 1, box)
