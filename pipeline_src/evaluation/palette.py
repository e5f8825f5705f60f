"""Colours of class ids: VOC's palette, and index images that carry it. NumPy and Pillow only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def voc_palette(entries: int = 256) -> NDArray[np.uint8]:
    """The colour map of PASCAL VOC's development kit, `(entries, 3)` RGB.

    Bit k of an id's three lowest bits, then of the next three, and so on, sets the colours' bits
    from the highest down. Id 0 is black, id 255 is (224, 224, 192), VOC's void.
    """
    ids = np.arange(entries)
    colours = np.zeros((entries, 3), dtype=np.uint8)
    for octave in range(8):
        for channel in range(3):
            bit = (ids >> (3 * octave + channel)) & 1
            colours[:, channel] |= (bit << (7 - octave)).astype(np.uint8)
    return colours


def index_image(ids: NDArray[Any]) -> Image.Image:
    """A palette image whose pixel values are the class ids `(H, W)`, coloured as VOC does.

    Raises `ValueError` for an id outside 0..255.
    """
    if ids.size and not (ids.min() >= 0 and ids.max() <= 255):
        raise ValueError(f"ids {ids.min()}..{ids.max()} do not fit into an index image (0..255)")
    image = Image.fromarray(np.ascontiguousarray(ids, dtype=np.uint8))
    image.putpalette(voc_palette().tobytes())
    return image


def colourise(ids: NDArray[Any], ignore_index: int) -> NDArray[np.uint8]:
    """Class ids `(H, W)` as RGB `(H, W, 3)`; pixels of `ignore_index` are hatched in greys.

    Void is hatched since VOC's own colour for it is close to those of some classes.
    """
    colours = voc_palette()[np.clip(ids, 0, 255)]
    rows, columns = np.indices(ids.shape)
    stripe = np.where((rows + columns) % 8 < 4, 205, 150).astype(np.uint8)
    void = ids == ignore_index
    colours[void] = stripe[void, None]
    return colours
