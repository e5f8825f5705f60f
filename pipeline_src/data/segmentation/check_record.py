"""Opens a record with a mask, and says what is wrong with it or which ids its mask holds.

Runs in the processes of a pool, so it takes and returns plain values. NumPy and Pillow only.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline_src.data.check_file import Checked, CheckedFile, check_size, is_rotated, open_file, open_image
from pipeline_src.data.records import Record

MASK_MODES = ("L", "P")


@dataclass
class CheckedMask(Checked):
    """`counts[v]` pixels of mask id v."""

    counts: list[int] = field(default_factory=list)


def check_record(allowed: frozenset[int], described: str, root: Path, record: Record) -> CheckedMask:
    """Read both files of a record below `root` and compare them with each other and the classes.

    `allowed` are the mask ids that may occur, `described` says so in words. Never raises for a bad
    file: every finding is in `problems`, with the file's name and what would be right.
    """
    found = CheckedMask(CheckedFile(record.image), CheckedFile(record.mask))
    image = open_image(root, found.image, found.problems)
    if image is not None:
        found.rotated = is_rotated(image)
    mask = open_file(root, found.annotation, "mask", found.problems)
    if mask is not None:
        if mask.mode in MASK_MODES:
            _check_ids(found, mask, allowed, described)
        else:
            found.problems.append(f"mask {record.mask} {_advice(mask.mode)}")
    if image is not None and mask is not None:
        check_size(found, f"mask {record.mask} is", mask.size)
    return found


def _check_ids(found: CheckedMask, mask: Image.Image, allowed: frozenset[int], described: str) -> None:
    counts = np.bincount(np.asarray(mask, dtype=np.uint8).ravel(), minlength=256)
    found.counts = counts.tolist()
    wrong = [int(value) for value in np.flatnonzero(counts) if value not in allowed]
    if wrong:
        ids = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        pixels = sum(found.counts[value] for value in wrong)
        found.problems.append(
            f"mask {found.annotation.name} holds id {ids} ({pixels} pixels); allowed are {described}"
        )


def _advice(mode: str) -> str:
    if mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        what = "is a colour image, not an index image"
    elif mode in ("1", "LA", "PA"):
        what = f"has pixels of type {mode}"
    else:
        what = f"has more than 8 bits a pixel ({mode})"
    return f"{what}; save each pixel's class id in an 8-bit PNG with one channel (Pillow mode L or P)"
