"""Titled pictures in a row, caption above, classes below: what all pictures of predictions share."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline_src.evaluation.palette import colourise
from pipeline_src.files import atomic_path

_GAP = 8
_TEXT = 15
_MIN_TILE = 240
_MAX_TILE = 480
_INK = (20, 20, 20)
_GREY = (90, 90, 90)


def spread_evenly(count: int, length: int) -> list[int]:
    """Up to `count` indices of `length` records, evenly spread, the first among them."""
    count = min(count, length)
    return [number * length // count for number in range(count)]


def denormalised(image: NDArray[Any], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.uint8]:
    """An image `(3, H, W)` that was normalised with `mean` and `std`, as RGB `(H, W, 3)`."""
    shift, scale = (np.asarray(values, dtype=np.float64)[:, None, None] for values in (mean, std))
    pixels = np.rint((image * scale + shift) * 255).clip(0, 255)
    return np.ascontiguousarray(pixels.astype(np.uint8).transpose(1, 2, 0))


def tile_size(width: int, height: int) -> tuple[int, int]:
    """Width and height at which a picture can be looked at beside another one."""
    target = min(max(width, _MIN_TILE), _MAX_TILE)
    return target, max(1, round(height * target / width))


def draw_tiles(
    tiles: Sequence[tuple[str, Image.Image]],
    caption: str,
    names: list[tuple[int, str]],
    ignore_index: int,
) -> Image.Image:
    """Titled pictures of one size in a row, `caption` above; `names` are the (class id, name) below."""
    size = tiles[0][1].size
    font = ImageFont.load_default(_TEXT)
    total = len(tiles) * size[0] + (len(tiles) + 1) * _GAP
    line = _TEXT + 7
    rows = _wrap_legend(names, font, total - 2 * _GAP)
    canvas = Image.new("RGB", (total, 2 * line + size[1] + line * len(rows) + 2 * _GAP), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((_GAP, 4), caption, fill=_INK, font=font)
    for column, (title, tile) in enumerate(tiles):
        left = _GAP + column * (size[0] + _GAP)
        draw.text((left, line + 2), title, fill=_GREY, font=font)
        canvas.paste(tile, (left, 2 * line))
    for number, row in enumerate(rows):
        top = 2 * line + size[1] + _GAP + number * line
        for left, class_id, name in row:
            swatch = np.full((_TEXT - 1, _TEXT - 1), class_id)
            draw.rectangle((left, top + 2, left + _TEXT, top + 2 + _TEXT), outline=_GREY)
            canvas.paste(Image.fromarray(colourise(swatch, ignore_index)), (left + 1, top + 3))
            draw.text((left + _TEXT + 6, top), name, fill=_INK, font=font)
    return canvas


def file_stem(name: str) -> str:
    """A record's id as part of a file name."""
    return "".join(c if c.isalnum() or c in "-." else "_" for c in name)[:80]


def save_png(image: Image.Image, path: Path) -> None:
    """Write an image atomically as PNG; same pixels, same bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _wrap_legend(names: list[tuple[int, str]], font: Any, width: int) -> list[list[tuple[int, int, str]]]:
    """Lines of (left, class id, name) that fit into `width` pixels."""
    rows: list[list[tuple[int, int, str]]] = [[]]
    left = 0
    for class_id, name in names:
        needed = _TEXT + 6 + int(font.getlength(name)) + 16
        if left and left + needed > width:
            rows.append([])
            left = 0
        rows[-1].append((_GAP + left, class_id, name))
        left += needed
    return rows
