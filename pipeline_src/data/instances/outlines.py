"""Outlines of objects, packed: the polygons and run lengths of annotations as COCO's compressed run lengths.

All are rasterised by pycocotools, as COCO's own tools do it. What a file states wrongly is a `ValueError`
whose words follow the object's name.
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

Size = tuple[int, int]
"""Width and height."""

OVERSHOOT = 1.0
"""So many pixels outside its image a polygon's point may lie: tools round."""


def pack(segmentation: Any, size: Size) -> bytes:
    """Compressed run lengths of an annotation's `segmentation` in an image of `size`.

    It is a list of polygons `[x1, y1, x2, y2, ...]` or COCO's `{"size": [height, width], "counts": ...}` with
    a list or a string. Raises `ValueError` for one that is missing or damaged, has another size than the
    image, a polygon of fewer than three points, or one that reaches outside the image.
    """
    if segmentation is None or segmentation == []:
        raise ValueError("has no segmentation; every object needs its outline, as polygons or run lengths")
    if isinstance(segmentation, list):
        return _pack_polygons(segmentation, size)
    if isinstance(segmentation, Mapping):
        return _pack_runs(segmentation, size)
    raise ValueError(
        f"has segmentation {reprlib.repr(segmentation)}; it must be a list of polygons or run lengths"
    )


def pack_mask(mask: NDArray[np.bool_]) -> bytes:
    """Compressed run lengths of a mask `(H, W)`."""
    counts: bytes = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts


def unpack(counts: bytes, size: Size) -> NDArray[np.uint8]:
    """The mask `(H, W)` of 0 and 1 in an image of `size`."""
    mask: NDArray[np.uint8] = coco_mask.decode(run_lengths(counts, size))
    return mask


def area_of(counts: bytes, size: Size) -> float:
    """Pixels of the mask in an image of `size`."""
    return float(coco_mask.area(run_lengths(counts, size)))


def run_lengths(counts: bytes, size: Size) -> dict[str, Any]:
    """As pycocotools takes it."""
    return {"size": [size[1], size[0]], "counts": counts}


@dataclass(frozen=True)
class Outlines:
    """Packed outlines of n objects in one array, which a loader's processes share.

    Those of object i are `codes[starts[i]:starts[i + 1]]`.
    """

    codes: NDArray[np.uint8]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: int) -> bytes:
        return self.codes[self.starts[place] : self.starts[place + 1]].tobytes()

    @classmethod
    def of(cls, packed: Sequence[bytes]) -> "Outlines":
        """From the run lengths of each object."""
        lengths = np.array([len(one) for one in packed], dtype=np.int64)
        return cls(np.frombuffer(b"".join(packed), dtype=np.uint8), np.concatenate([[0], np.cumsum(lengths)]))

    @classmethod
    def from_text(cls, text: str) -> "Outlines":
        """From `to_text`."""
        return cls.of(text.encode("ascii").split(b" ") if text else [])

    def to_text(self) -> str:
        """The run lengths in order, with a space between two (none of their characters is one)."""
        return " ".join(self[place].decode("ascii") for place in range(len(self)))


def _pack_polygons(polygons: Sequence[Any], size: Size) -> bytes:
    width, height = size
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(map(_is_number, polygon)):
            raise ValueError(f"has polygon {reprlib.repr(polygon)}; it must be a list x1, y1, x2, y2, ...")
        if len(polygon) % 2 or len(polygon) < 6:
            points = f"{len(polygon) // 2} points" + (" and half of another" if len(polygon) % 2 else "")
            raise ValueError(f"has a polygon of {points}; it needs at least three, as x1, y1, x2, y2, ...")
        for x, y in zip(polygon[::2], polygon[1::2]):
            inside = -OVERSHOOT <= x <= width + OVERSHOOT and -OVERSHOOT <= y <= height + OVERSHOOT
            if not inside:
                raise ValueError(
                    f"has a polygon with point ({x:g}, {y:g}) outside its {width}x{height} image"
                )
    parts = coco_mask.frPyObjects(
        [[float(value) for value in polygon] for polygon in polygons], height, width
    )
    counts: bytes = coco_mask.merge(parts)["counts"]
    return counts


def _pack_runs(segmentation: Mapping[str, Any], size: Size) -> bytes:
    width, height = size
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if stated != [height, width]:
        raise ValueError(
            f"has run lengths of size {reprlib.repr(stated)} (height, width), but its image has "
            f"{[height, width]}"
        )
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("has run lengths that do not decode; counts are a list of lengths, or COCO's string")
    if sum(counts) != width * height:
        raise ValueError(
            f"has run lengths that do not decode: they cover {sum(counts)} pixels, and its image has "
            f"{width * height}"
        )
    packed: bytes = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)[
        "counts"
    ]
    return packed


def _decompressed(text: str) -> list[int] | None:
    """The lengths of COCO's string, None where it has an end within a number or a foreign character.

    pycocotools' own decoder trusts the string. A number has five bits a character, the lowest first, with a
    sixth bit where another follows; from the fourth on it is the difference to the one before the last.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts if shift == 0 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
