"""Reading an image and its index mask into arrays. NumPy and Pillow only."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.errors import InputError


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image as RGB, `(H, W, 3)` uint8; grey and palette images are converted."""
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(_changed(path, error)) from None


def read_mask(path: Path) -> NDArray[np.uint8]:
    """The ids of an index mask as the file has them, `(H, W)` uint8."""
    try:
        with Image.open(path) as image:
            return np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(_changed(path, error)) from None


def _changed(path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return f"{path}: cannot be read ({reason}); it could be when the data manifest was made"
