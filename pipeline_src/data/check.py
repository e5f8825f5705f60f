"""Opens and decodes one record (image and mask) and says what is wrong with it, or what is in it.

Runs in the processes of a pool, so it takes and returns plain values. NumPy and Pillow only.
"""

import hashlib
import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline_src.data.records import Record

IMAGE_MODES = ("RGB", "L", "RGBA", "LA", "P", "PA", "CMYK", "YCbCr", "1")
MASK_MODES = ("L", "P")
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_ORIENTATION = 0x0112


@dataclass
class CheckedFile:
    """A file as it was read: size in bytes, time, digest of its bytes; the pixels' width and height."""

    name: str
    bytes: int = 0
    mtime_ns: int = 0
    digest: str = ""
    size: tuple[int, int] = (0, 0)


@dataclass
class CheckedRecord:
    """What was found: `counts[v]` pixels of mask id v; `problems` are without the record's name."""

    image: CheckedFile
    mask: CheckedFile
    counts: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rotated: bool = False


def check_record(root: Path, record: Record, allowed: frozenset[int], described: str) -> CheckedRecord:
    """Read both files of a record below `root` and compare them with each other and the classes.

    `allowed` are the mask ids that may occur, `described` says so in words. Never raises for a bad
    file: every finding is in `problems`, with the file's name and what would be right.
    """
    found = CheckedRecord(CheckedFile(record.image), CheckedFile(record.mask))
    image = open_image(root, found.image, found.problems)
    if image is not None:
        found.rotated = is_rotated(image)
    mask = _open(root, found.mask, "mask", found.problems)
    if mask is not None:
        if mask.mode in MASK_MODES:
            _check_ids(found, mask, allowed, described)
        else:
            found.problems.append(f"mask {record.mask} {_advice(mask.mode)}")
    if image is not None and mask is not None and image.size != mask.size:
        turned = "; the image carries a rotation (EXIF), apply it to its pixels" if found.rotated else ""
        found.problems.append(
            f"image {record.image} is {_size(image)} but mask {record.mask} is {_size(mask)}{turned}"
        )
    return found


def open_image(root: Path, file: CheckedFile, problems: list[str]) -> Image.Image | None:
    """Decode and hash the image that `file` names; what is wrong with it goes to `problems`."""
    image = _open(root, file, "image", problems)
    if image is not None and image.mode not in IMAGE_MODES:
        problems.append(f"image {file.name} has pixels of type {image.mode}; save it with 8 bits a channel")
    return image


def is_rotated(image: Image.Image) -> bool:
    """Whether the file asks viewers to turn the image (EXIF), which is not done here."""
    return image.getexif().get(_ORIENTATION, 1) != 1


def _open(root: Path, file: CheckedFile, what: str, problems: list[str]) -> Image.Image | None:
    """Decode a file from the bytes that are also hashed; None, with a problem, where that fails."""
    data = read_bytes(root, file, what, problems)
    if data is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            image.load()
    except DECODE_ERRORS as error:
        reason = "it is empty" if not data else " ".join(str(error).split()) or type(error).__name__
        if "cannot identify" in reason:
            reason = "it is not in a known image format"
        problems.append(f"{what} {file.name} cannot be decoded: {reason}")
        return None
    file.size = image.size
    return image


def read_bytes(root: Path, file: CheckedFile, what: str, problems: list[str]) -> bytes | None:
    """Read the file that `file` names, note its size, time and digest; None, with a problem, on failure."""
    try:
        with open(root / file.name, "rb") as handle:
            info = os.fstat(handle.fileno())
            data = handle.read()
    except FileNotFoundError:
        problems.append(f"{what} {file.name} is missing in {root}")
        return None
    except OSError as error:
        problems.append(f"{what} {file.name} cannot be read ({error.strerror})")
        return None
    file.bytes, file.mtime_ns = info.st_size, info.st_mtime_ns
    file.digest = hashlib.sha256(data).hexdigest()
    return data


def _check_ids(found: CheckedRecord, mask: Image.Image, allowed: frozenset[int], described: str) -> None:
    counts = np.bincount(np.asarray(mask, dtype=np.uint8).ravel(), minlength=256)
    found.counts = counts.tolist()
    wrong = [int(value) for value in np.flatnonzero(counts) if value not in allowed]
    if wrong:
        ids = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        pixels = sum(found.counts[value] for value in wrong)
        found.problems.append(
            f"mask {found.mask.name} holds id {ids} ({pixels} pixels); allowed are {described}"
        )


def _advice(mode: str) -> str:
    if mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        what = "is a colour image, not an index image"
    elif mode in ("1", "LA", "PA"):
        what = f"has pixels of type {mode}"
    else:
        what = f"has more than 8 bits a pixel ({mode})"
    return f"{what}; save each pixel's class id in an 8-bit PNG with one channel (Pillow mode L or P)"


def _size(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"
