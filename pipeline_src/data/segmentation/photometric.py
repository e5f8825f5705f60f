"""Photometric distortion of 8-bit RGB images: brightness, contrast, saturation and hue.

Every operation gives whole levels 0..255 again, and all of it is integer arithmetic or a table of 256
entries, so that a result does not depend on the processor or the number of threads. Saturation and hue
are changed in HSV with OpenCV's 8-bit convention: H in 0..179 (steps of 2 degrees), S and V in 0..255.
Conversions are rounded to the nearest level, halves up; OpenCV's fixed-point and float tables may differ
from that by one level.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HUES = 180
_SECTOR = HUES // 6
_FULL = 255 * _SECTOR
"""Saturation times what a channel loses by its distance from the hue, at their largest."""
_DISTANCE = np.abs((np.arange(HUES) - HUES // 3 * np.arange(3)[:, None] + HUES // 2) % HUES - HUES // 2)
_LOSS = (_DISTANCE - _SECTOR).clip(0, _SECTOR).astype(np.int32)
"""What red, green and blue lose at each hue, `(3, 180)`: nothing within a sector of their own hue, all of
a sector's length beyond two."""


@dataclass(frozen=True)
class Distortion:
    """The amounts of one distortion; None leaves a property as it is.

    `brightness` is added, `contrast` and `saturation` multiply, `hue` is added modulo 180.
    """

    brightness: float | None = None
    contrast: float | None = None
    contrast_first: bool = True
    saturation: float | None = None
    hue: int | None = None


@dataclass(frozen=True)
class DistortionRange:
    """What a distortion is drawn from, by default as MMSegmentation does.

    Each operation happens with probability 1/2. `brightness` and `hue` are the largest change to either
    side (hue: whole steps, the upper end excluded), `contrast` and `saturation` the bounds of a factor.
    """

    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: int = 18

    def draw(self, rng: np.random.Generator) -> Distortion:
        """One distortion; the contrast comes first or last with probability 1/2."""

        def happens() -> bool:
            return bool(rng.random() < 0.5)

        return Distortion(
            brightness=float(rng.uniform(-self.brightness, self.brightness)) if happens() else None,
            contrast=float(rng.uniform(*self.contrast)) if happens() else None,
            contrast_first=happens(),
            saturation=float(rng.uniform(*self.saturation)) if happens() else None,
            hue=int(rng.integers(-self.hue, self.hue)) if happens() else None,
        )


def distort(image: NDArray[np.uint8], distortion: Distortion) -> NDArray[np.uint8]:
    """Distort `image` `(3, H, W)` RGB: brightness, [contrast,] saturation, hue[, contrast]; returns a new
    image, or `image` itself when nothing is to change.
    """
    if distortion.brightness is not None:
        image = scale_levels(image, 1.0, distortion.brightness)
    if distortion.contrast is not None and distortion.contrast_first:
        image = scale_levels(image, distortion.contrast)
    if distortion.saturation is not None:
        hue, saturation, value = rgb_to_hsv(image)
        image = hsv_to_rgb(np.stack([hue, scale_levels(saturation, distortion.saturation), value]))
    if distortion.hue is not None:
        hue, saturation, value = rgb_to_hsv(image)
        shifted = ((hue.astype(np.int16) + distortion.hue) % HUES).astype(np.uint8)
        image = hsv_to_rgb(np.stack([shifted, saturation, value]))
    if distortion.contrast is not None and not distortion.contrast_first:
        image = scale_levels(image, distortion.contrast)
    return image


def scale_levels(levels: NDArray[np.uint8], factor: float, offset: float = 0.0) -> NDArray[np.uint8]:
    """`levels x factor + offset` in float32, clipped to 0..255 and cut off to whole levels; any shape."""
    scaled = np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(offset)
    return scaled.clip(0, 255).astype(np.uint8)[levels]


def rgb_to_hsv(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H, S, V of `rgb`, both `(3, H, W)`; grey has H = S = 0. A tie for the largest channel goes to red,
    then green.
    """
    red, green, blue = rgb.astype(np.int32)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    # place on the hexagon of hues, in units of chroma: red at 0, green at 2, blue at 4
    place = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * chroma, red - green + 4 * chroma),
    )
    hue = _rounded_ratio(_SECTOR * place, chroma) % HUES
    saturation = _rounded_ratio(255 * chroma, value)
    return np.stack([hue, saturation, value]).astype(np.uint8)


def hsv_to_rgb(hsv: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """R, G, B of `hsv`, both `(3, H, W)`; H has to be below 180."""
    hue, saturation, value = hsv[0], hsv[1].astype(np.int32), hsv[2].astype(np.int32)
    rgb = np.empty(hsv.shape, dtype=np.uint8)
    for channel, loss in enumerate(_LOSS):
        # value x (1 - saturation / 255 x loss / sector), rounded
        rgb[channel] = (2 * value * (_FULL - saturation * loss[hue]) + _FULL) // (2 * _FULL)
    return rgb


def _rounded_ratio(numerator: NDArray[np.int32], denominator: NDArray[np.int32]) -> NDArray[np.int32]:
    """The nearest whole number to the ratio, halves up; 0 where the denominator, and so the numerator, is."""
    return (2 * numerator + denominator) // np.maximum(2 * denominator, 1)
