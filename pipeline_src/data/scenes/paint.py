"""Colours and textures of the scene generator: backgrounds, and the looks of its twenty classes."""

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.scenes.shapes import SHAPES, Field

NUM_CLASSES = 20


def class_colours(label: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Main and second colour (RGB, 0..1) of an object of class `label` (from 1), slightly varied.

    Hues are spread evenly, and so that classes of one shape are a quarter of the circle apart.
    """
    hue = ((label - 1) * 7 % NUM_CLASSES) / NUM_CLASSES + rng.uniform(-0.012, 0.012)
    saturation, value = rng.uniform(0.72, 0.92), rng.uniform(0.75, 0.95)
    main = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    second = colorsys.hsv_to_rgb(hue % 1, saturation * 0.45, min(1.0, value * 1.12))
    return np.array(main, dtype=np.float32), np.array(second, dtype=np.float32)


def class_shape(label: int) -> int:
    """Index into `SHAPES` of class `label` (from 1); the texture is the other factor."""
    return (label - 1) % len(SHAPES)


def class_texture(label: int, u: Field, v: Field, pixels: float) -> Field:
    """Share of the second colour at points of the unit frame, 0..1.

    Classes 1-5 are plain, 6-10 striped, 11-15 dotted, 16-20 chequered. `pixels` is the object's
    radius: a pattern too fine for it fades into its mean instead of aliasing.
    """
    kind = (label - 1) // len(SHAPES) % 4
    if kind == 0:
        return np.zeros_like(u)
    frequency = 2.2
    contrast = float(np.clip(pixels / frequency - 2, 0, 1))
    if kind == 1:
        wave = np.sin(2 * np.pi * frequency * 0.8 * u)
    elif kind == 2:
        wave = np.cos(2 * np.pi * frequency * 0.75 * u) + np.cos(2 * np.pi * frequency * 0.75 * v) - 0.5
    else:
        wave = np.sin(np.pi * frequency * u) * np.sin(np.pi * frequency * v) * 2
    sharp = np.clip(0.5 + wave * max(1.0, pixels / 8), 0, 1)
    return (0.4 + (sharp - 0.4) * contrast).astype(np.float32)


# --- backgrounds ------------------------------------------------------------------------------


def background(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A textured, unsaturated background `(height, width, 3)`, RGB in 0..1."""
    kind = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    dark, light = _muted(rng, 0.25, 0.5), _muted(rng, 0.55, 0.92)
    mix = np.clip(kind(width, height, rng), 0, 1)[..., None]
    picture = dark + (light - dark) * mix
    grain = 0.05 * (noise(width, height, 2.5, rng) - 0.5) + 0.10 * (
        noise(width, height, width / 2, rng) - 0.5
    )
    return (picture + grain[..., None]).astype(np.float32)


def noise(width: int, height: int, cell: float, rng: np.random.Generator) -> Field:
    """Smooth noise in 0..1 whose features are about `cell` pixels wide."""
    columns, rows = max(2, round(width / cell) + 2), max(2, round(height / cell) + 2)
    grid = Image.fromarray(rng.random((rows, columns), dtype=np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def _clouds(width: int, height: int, rng: np.random.Generator) -> Field:
    total = np.zeros((height, width), dtype=np.float32)
    for octave, weight in enumerate((0.55, 0.28, 0.17)):
        total += weight * noise(width, height, width / (2.5 * 2.2**octave), rng)
    return (total - 0.5) * 1.6 + 0.5


def _stripes(width: int, height: int, rng: np.random.Generator) -> Field:
    x, y = _coordinates(width, height)
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.08, 0.3) * max(width, height)
    bend = rng.uniform(0, 0.8) * (noise(width, height, width / 2, rng) - 0.5)
    phase = (np.cos(angle) * x + np.sin(angle) * y) / period + bend
    return 0.5 + np.clip(np.sin(2 * np.pi * phase) * rng.uniform(0.6, 4), -1, 1) * 0.4


def _gradient(width: int, height: int, rng: np.random.Generator) -> Field:
    x, y = _coordinates(width, height)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
    return 0.5 + 0.9 * along + 0.25 * (noise(width, height, width / 6, rng) - 0.5)


def _cells(width: int, height: int, rng: np.random.Generator) -> Field:
    x, y = _coordinates(width, height)
    count = int(rng.integers(8, 22))
    seeds_x, seeds_y = rng.uniform(0, width, count), rng.uniform(0, height, count)
    squared = (x[..., None] - seeds_x) ** 2 + (y[..., None] - seeds_y) ** 2
    nearest = np.argmin(squared, axis=-1)
    two = np.sqrt(np.partition(squared, 1, axis=-1)[..., :2])
    seam = np.clip((two[..., 1] - two[..., 0]) / 3, 0, 1)
    return (rng.uniform(0.15, 1, count)[nearest] * (0.55 + 0.45 * seam)).astype(np.float32)


def _tiles(width: int, height: int, rng: np.random.Generator) -> Field:
    x, y = _coordinates(width, height)
    angle, period = rng.uniform(-0.5, 0.5), rng.uniform(0.12, 0.35) * max(width, height)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    wave = np.sin(2 * np.pi * u / period) * np.sin(2 * np.pi * v / period)
    return 0.5 + 0.35 * np.clip(wave * period / 4, -1, 1) + 0.2 * (noise(width, height, 6, rng) - 0.5)


def _horizon(width: int, height: int, rng: np.random.Generator) -> Field:
    _, y = _coordinates(width, height)
    level = rng.uniform(0.25, 0.6) * height
    line = level + 0.25 * height * (noise(width, 1, width / 4, rng)[0] - 0.5)
    below = np.clip(y - line, 0, 1)
    sky = 0.75 + 0.25 * y / height + 0.15 * (noise(width, height, width / 3, rng) - 0.5)
    depth = np.clip((y - line) / max(1.0, height - level), 0, 1)
    ground = 0.15 + 0.35 * depth + (0.1 + 0.25 * depth) * (noise(width, height, 5, rng) - 0.5)
    return (sky * (1 - below) + ground * below).astype(np.float32)


BACKGROUNDS: tuple[Callable[[int, int, np.random.Generator], Field], ...] = (
    _clouds,
    _stripes,
    _gradient,
    _cells,
    _tiles,
    _horizon,
)


def _muted(rng: np.random.Generator, low: float, high: float) -> NDArray[np.float32]:
    colour = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.32), rng.uniform(low, high))
    return np.array(colour, dtype=np.float32)


def _coordinates(width: int, height: int) -> tuple[Field, Field]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x, y
