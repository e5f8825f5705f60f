"""Outlines of the scene generator's objects, as signed distances in a unit frame.

A shape maps points `(u, v)` to the distance from its outline, negative inside; it fits into the
square from -1 to 1. Distances give smooth edges at any size, without drawing at a higher resolution.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Shape = Callable[[Field, Field], Field]


def disc(u: Field, v: Field) -> Field:
    """The unit disc."""
    return np.hypot(u, v) - 1


def box(u: Field, v: Field) -> Field:
    """A square of side 1.7 with rounded corners."""
    return _box(u, v, 0.55, 0.55) - np.float32(0.3)


def ring(u: Field, v: Field) -> Field:
    """A ring; what is behind shows through its hole."""
    return np.abs(np.hypot(u, v) - np.float32(0.7)) - np.float32(0.3)


def triangle(u: Field, v: Field) -> Field:
    """An equilateral triangle, slightly rounded, pointing up (towards negative v)."""
    reach = np.float32(0.82)
    root = np.float32(np.sqrt(3))
    x, y = np.abs(u) - reach, -v + reach / root + np.float32(0.24)
    fold = x + root * y > 0
    x, y = np.where(fold, (x - root * y) / 2, x), np.where(fold, (-root * x - y) / 2, y)
    x = x - np.clip(x, -2 * reach, 0)
    return -np.hypot(x, y) * np.sign(y) - np.float32(0.12)


def star(u: Field, v: Field) -> Field:
    """A five-pointed star."""
    sector = np.float32(2 * np.pi / 5)
    angle = np.arctan2(u, -v)
    folded = np.abs(angle - sector * np.round(angle / sector))
    radius = np.hypot(u, v)
    x, y = radius * np.sin(folded), radius * np.cos(folded)
    # the edge from the tip (0, 1) to the notch between two points
    notch = np.array([np.sin(np.pi / 5), np.cos(np.pi / 5)]) * 0.5
    edge = notch - np.array([0.0, 1.0])
    length = float(np.hypot(*edge))
    along = np.clip((x * edge[0] + (y - 1) * edge[1]) / length**2, 0, 1)
    distance = np.hypot(x - along * edge[0], y - 1 - along * edge[1])
    side = (x * edge[1] - (y - 1) * edge[0]) / length
    return np.where(side > 0, -distance, distance).astype(np.float32)


def _box(u: Field, v: Field, half_width: float, half_height: float) -> Field:
    x, y = np.abs(u) - np.float32(half_width), np.abs(v) - np.float32(half_height)
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return outside + np.minimum(np.maximum(x, y), 0)


SHAPES: tuple[tuple[Shape, float], ...] = (
    (disc, 3.14),
    (box, 2.81),
    (triangle, 1.80),
    (star, 1.47),
    (ring, 2.64),
)
"""Each shape with its area in the unit frame, from which an object's size is computed."""
