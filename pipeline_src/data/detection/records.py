"""What a detection reader returns: an image and its annotated objects, as the annotation states them.

Boxes are `(x1, y1, x2, y2)` in pixels from the image's top left corner, as borders: a box around the
first pixel alone is `(0, 0, 1, 1)`. Readers bring their format's convention into this one. Labels
count from 1; 0 is the background, as torchvision's detectors have it. Standard library only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class AnnotatedObject:
    """One object: label, borders of its box, area in square pixels (None: that of its box).

    `crowd`: a group in one box (COCO's `iscrowd`). `difficult`: not counted in VOC's evaluation. `outline`
    is what the annotation says of it, and `id` the annotation's own, where a reader keeps them.
    """

    label: int
    box: tuple[float, float, float, float]
    area: float | None = None
    crowd: bool = False
    difficult: bool = False
    outline: Any = None
    id: Any = None


@dataclass(frozen=True)
class DetectionRecord:
    """One image: its id, its file and the file that describes it, relative to the data set's root.

    A reader of a file for all images gives `objects` and the `size` (width, height) that it states; a
    reader of one file per image leaves both None, and the check parses it, as its `form` says. `pixels` says
    how an XML counts: True, as VOC does, from 1 and with the last pixel included; False, by borders from 0.
    """

    id: str
    image: str
    annotation: str
    objects: tuple[AnnotatedObject, ...] | None = None
    size: tuple[int, int] | None = None
    pixels: bool = True
    form: Literal["voc_xml", "yolo"] = "voc_xml"

    @property
    def files(self) -> tuple[str, ...]:
        """Image and annotation."""
        return self.image, self.annotation


def box_problem(corners: Sequence[float]) -> str | None:
    """What is wrong with `x1, y1, x2, y2` as a file states them: not finite, or the wrong way round."""
    x1, y1, x2, y2 = corners
    shown = ", ".join(f"{value:g}" for value in corners)
    if not all(map(math.isfinite, corners)):
        return f"box ({shown}) is not finite; give four numbers"
    if x2 < x1 or y2 < y1:
        return (
            f"box ({shown}) is inverted; width and height must be positive, its first corner the top left one"
        )
    return None
