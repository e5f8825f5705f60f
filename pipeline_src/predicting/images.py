"""The images of a user's folder, and reading one. NumPy and Pillow only."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.file_names import IMAGE_SUFFIXES
from pipeline_src.errors import InputError


def images_below(folder: str | Path, but: str | Path | None = None) -> list[str]:
    """Paths of the images in `folder` and below it, relative to it, with `/`, sorted.

    Hidden files and folders are left out, and the folder `but`. Raises `InputError` for a folder that is not
    there, that cannot be read, or that holds no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name one that holds images")

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror})")

    left_out = Path(but).resolve() if but is not None else None
    found = []
    for place, folders, files in os.walk(root, onerror=refuse):
        folders[:] = [
            one for one in folders if not one.startswith(".") and Path(place, one).resolve() != left_out
        ]
        found += [
            Path(place, file).relative_to(root).as_posix()
            for file in files
            if not file.startswith(".") and file.lower().endswith(IMAGE_SUFFIXES)
        ]
    if not found:
        raise InputError(f"{root}: holds no image; known are {', '.join(IMAGE_SUFFIXES)}")
    for name in found:
        if not name.isprintable():  # also what is not UTF-8, which no JSON can hold
            raise InputError(f"{root}: file name {name!a} cannot be used; rename it")
    return sorted(found)


def stems_of(names: list[str]) -> Callable[[str], str]:
    """From a path of `names` to the same without suffix; with it where two would be the same."""
    stems = {name: PurePosixPath(name).with_suffix("").as_posix() for name in names}
    # two names that differ in case alone are one file on some disks
    times = Counter(stem.lower() for stem in stems.values())
    return lambda name: name if times[stems[name].lower()] > 1 else stems[name]


def decode(path: str | Path) -> NDArray[np.uint8]:
    """An image file as RGB, `(H, W, 3)` uint8, as the evaluation reads it; an `InputError` says why not."""
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be decoded as an image ({reason})") from None
