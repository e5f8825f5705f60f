"""Seeded, procedural scenes: objects of up to twenty classes over textured backgrounds.

A class is a shape with a texture and a hue, so that a small network can learn to name it within
minutes. Areas are log-uniform, by default from a few pixels to a third of the image; later objects
cover earlier ones, and some are cut by the image's edge. Scene i depends on (seed, split, i) alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_src.data.scenes.paint import (
    NUM_CLASSES,
    background,
    class_colours,
    class_shape,
    class_texture,
)
from pipeline_src.data.scenes.scene import Scene, SceneObject, contour_band
from pipeline_src.data.scenes.shapes import SHAPES
from pipeline_src.errors import InputError
from pipeline_src.training.seeding import derive

SMALLEST_AREA = 36.0
LARGEST_SHARE = 0.3
NAMED_PIXELS = 10
"""An object of which fewer pixels are seen is void: nobody could say what it is."""

CROWD_SIZE = (5, 9)
BAND_PER_PIXEL = 1 / 160


@dataclass(frozen=True)
class SceneSettings:
    """What to draw: the range of sizes (width, height) and of objects per scene, both inclusive.

    `shares`: smallest and largest area of an object as shares of the image's; None: from `SMALLEST_AREA`
    pixels to `LARGEST_SHARE`. `crowds`: the probability that an object is a crowd of small ones.

    Raises `InputError` that names the setting and what it may be.
    """

    seed: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    classes: int = NUM_CLASSES
    objects: tuple[int, int] = (1, 6)
    shares: tuple[float, float] | None = None
    crowds: float = 0.12

    def __post_init__(self) -> None:
        for low, high in zip(self.smallest, self.largest):
            if not 16 <= low <= high:
                raise InputError(
                    f"size: {list(self.smallest)} to {list(self.largest)} must ascend and begin at 16 pixels"
                )
        if not 1 <= self.classes <= NUM_CLASSES:
            raise InputError(f"classes: {self.classes} is not in 1..{NUM_CLASSES}")
        if not 0 <= self.objects[0] <= self.objects[1]:
            raise InputError(f"objects: {list(self.objects)} is not [fewest, most]")
        if self.shares is not None and not 0 < self.shares[0] <= self.shares[1] <= 1:
            raise InputError(f"shares: {list(self.shares)} is not [smallest, largest] within 0..1")
        if not 0 <= self.crowds <= 1:
            raise InputError(f"crowds: {self.crowds} is no probability")

    def areas(self, pixels: int) -> tuple[float, float]:
        """Smallest and largest area of an object, in pixels, in an image of so many."""
        if self.shares is None:
            return SMALLEST_AREA, LARGEST_SHARE * pixels
        return self.shares[0] * pixels, self.shares[1] * pixels


def generate_scenes(settings: SceneSettings, split: str, count: int) -> Iterator[Scene]:
    """Scenes 0 to `count` - 1 of a split; a longer split begins with the shorter one's scenes."""
    for index in range(count):
        yield generate_scene(settings, split, index)


def generate_scene(settings: SceneSettings, split: str, index: int) -> Scene:
    """One scene, a function of `(settings, split, index)` alone."""
    rng = np.random.Generator(np.random.PCG64(derive(settings.seed, "scene", split, index)))
    width = int(rng.integers(settings.smallest[0], settings.largest[0] + 1))
    height = int(rng.integers(settings.smallest[1], settings.largest[1] + 1))
    canvas = _Canvas(background(width, height, rng), rng)
    sketches = [_sketch(settings, width, height, rng) for _ in range(_count(settings, rng))]
    # large ones tend to be further back, or they would hide the small ones
    for sketch in sorted(sketches, key=lambda sketch: -sketch.depth):
        canvas.paint(sketch)
    return canvas.finish(f"{split}_{index:06d}", split)


def _count(settings: SceneSettings, rng: np.random.Generator) -> int:
    return int(rng.integers(settings.objects[0], settings.objects[1] + 1))


@dataclass(frozen=True)
class _Sketch:
    """An object before it is painted; a crowd has several `members` (centre, half axes, rotation)."""

    label: int
    depth: float
    members: tuple[tuple[float, float, float, float, float], ...]


def _sketch(settings: SceneSettings, width: int, height: int, rng: np.random.Generator) -> _Sketch:
    label = int(rng.integers(1, settings.classes + 1))
    centre = rng.uniform(0, width), rng.uniform(0, height)
    if rng.random() < settings.crowds:
        count = int(rng.integers(CROWD_SIZE[0], CROWD_SIZE[1] + 1))
        spread = 0.07 * min(width, height)
        members = tuple(
            _member(
                label,
                rng.uniform(1, 3) * SMALLEST_AREA,
                centre[0] + rng.normal(0, spread),
                centre[1] + rng.normal(0, spread),
                rng,
            )
            for _ in range(count)
        )
        return _Sketch(label, SMALLEST_AREA, members)
    smallest, largest = settings.areas(width * height)
    area = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
    return _Sketch(label, area * np.exp(rng.normal(0, 0.8)), (_member(label, area, *centre, rng),))


def _member(
    label: int, area: float, x: float, y: float, rng: np.random.Generator
) -> tuple[float, float, float, float, float]:
    aspect = float(np.exp(rng.uniform(-0.4, 0.4)))
    radius = np.sqrt(area / SHAPES[class_shape(label)][1])
    return float(x), float(y), radius * np.sqrt(aspect), radius / np.sqrt(aspect), rng.uniform(0, 2 * np.pi)


class _Canvas:
    """The picture so far, with a label for every pixel, and how much of each object was painted."""

    def __init__(self, picture: NDArray[np.float32], rng: np.random.Generator) -> None:
        self.picture, self.rng = picture, rng
        self.height, self.width = picture.shape[:2]
        self.instances = np.zeros((self.height, self.width), dtype=np.uint16)
        self.painted: list[tuple[_Sketch, int, int]] = []
        angle = rng.uniform(-np.pi, 0)
        self.light = np.cos(angle), np.sin(angle)

    def paint(self, sketch: _Sketch) -> None:
        """Paint an object over what is there: shadow first, then its shaded, textured body."""
        instance = len(self.painted) + 1
        colours = class_colours(sketch.label, self.rng)
        whole = inside = 0
        for member in sketch.members:
            member_whole, member_inside = self._paint_member(sketch.label, instance, member, colours)
            whole, inside = whole + member_whole, inside + member_inside
        self.painted.append((sketch, whole, inside))

    def _paint_member(
        self,
        label: int,
        instance: int,
        member: tuple[float, float, float, float, float],
        colours: tuple[NDArray[np.float32], NDArray[np.float32]],
    ) -> tuple[int, int]:
        """Returns how many pixels the member has, and how many of them lie inside the image."""
        centre_x, centre_y, half_width, half_height, rotation = member
        scale = float(np.sqrt(half_width * half_height))
        reach = int(np.ceil(max(half_width, half_height) * 1.45 + 3))
        left, top = int(centre_x) - reach, int(centre_y) - reach
        y, x = np.mgrid[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(np.float32)

        def frame(shift_x: float, shift_y: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            dx, dy = x + 0.5 - centre_x - shift_x, y + 0.5 - centre_y - shift_y
            cos, sin = np.cos(rotation), np.sin(rotation)
            u, v = (cos * dx + sin * dy) / half_width, (cos * dy - sin * dx) / half_height
            return u.astype(np.float32), v.astype(np.float32)

        shape = SHAPES[class_shape(label)][0]
        u, v = frame(0, 0)
        distance = shape(u, v)
        cover = np.clip(0.5 - distance * scale, 0, 1)
        throw = 0.12 * scale + 0.8
        shadow = shape(*frame(-self.light[0] * throw, -self.light[1] * throw))
        shadow_cover = 0.38 * np.clip(0.5 - shadow * 4, 0, 1)

        second = class_texture(label, u, v, scale)[..., None]
        body = colours[0] * (1 - second) + colours[1] * second
        towards = (self.light[0] * (x - centre_x) + self.light[1] * (y - centre_y)) / (1.3 * scale)
        shade = 1 + 0.2 * np.clip(towards, -1, 1) - 0.3 * np.clip(1 + distance * scale / 1.6, 0, 1)
        body = body * shade[..., None]

        owned = cover >= 0.5
        rows = slice(max(0, top), min(self.height, top + 2 * reach + 1))
        columns = slice(max(0, left), min(self.width, left + 2 * reach + 1))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return int(owned.sum()), 0  # a member of a crowd that lies outside
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        region = self.picture[rows, columns]
        region *= 1 - shadow_cover[part][..., None]
        region += cover[part][..., None] * (body[part] - region)
        self.instances[rows, columns][owned[part]] = instance
        return int(owned.sum()), int(owned[part].sum())

    def finish(self, name: str, split: str) -> Scene:
        """Add the camera's noise, name the objects that are still seen, and mark what is void."""
        noise = self.rng.normal(0, 0.012, self.picture.shape)
        image = np.clip(np.rint((self.picture + noise) * 255), 0, 255).astype(np.uint8)
        void = contour_band(self.instances, max(1, round(max(self.width, self.height) * BAND_PER_PIXEL)))
        seen = np.bincount(self.instances.ravel(), minlength=len(self.painted) + 1)
        labels = np.zeros_like(self.instances, dtype=np.uint8)
        instances = np.zeros_like(self.instances)
        objects: list[SceneObject] = []
        for painted, (sketch, whole, inside) in enumerate(self.painted, 1):
            if seen[painted] == 0:
                continue
            mine = self.instances == painted
            if seen[painted] < NAMED_PIXELS:
                void |= mine
                continue
            instance = len(objects) + 1
            labels[mine], instances[mine] = sketch.label, instance
            objects.append(_describe(sketch, instance, mine, whole, inside))
        return Scene(name, split, image, labels, instances, void, tuple(objects))


def _describe(
    sketch: _Sketch, instance: int, mine: NDArray[np.bool_], whole: int, inside: int
) -> SceneObject:
    columns, rows = np.flatnonzero(mine.any(axis=0)), np.flatnonzero(mine.any(axis=1))
    area = int(mine.sum())
    crowd = len(sketch.members) > 1
    visible = area / whole
    return SceneObject(
        instance=instance,
        label=sketch.label,
        box=(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1),
        area=area,
        visible=visible,
        truncated=inside < 0.97 * whole,
        occluded=area < 0.97 * inside,
        difficult=crowd or visible < 0.35 or area < 2 * NAMED_PIXELS,
        crowd=crowd,
    )
