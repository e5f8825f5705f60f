"""Opens and decodes a file of a record, and says what is wrong with it.

Runs in the processes of a pool, so it takes and returns plain values. Pillow only.
"""

import hashlib
import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

IMAGE_MODES = ("RGB", "L", "RGBA", "LA", "P", "PA", "CMYK", "YCbCr", "1")
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
_PNG_BITS = 24
"""Place of the bits a channel in a PNG file."""


@dataclass
class CheckedFile:
    """A file as it was read: size in bytes, time, digest of its bytes; the pixels' width and height."""

    name: str
    bytes: int = 0
    mtime_ns: int = 0
    digest: str = ""
    size: tuple[int, int] = (0, 0)


@dataclass
class Checked:
    """What was found in a record of any task; `problems` are without the record's name.

    `annotation.digest` is empty where the reader has read the file already.
    """

    image: CheckedFile
    annotation: CheckedFile
    problems: list[str] = field(default_factory=list)
    rotated: bool = False


def check_size(found: Checked, annotation: str, size: tuple[int, int]) -> None:
    """Note a problem where the image's size (width, height) is not that which its annotation says or has."""
    if found.image.size != size:
        turned = "; the image carries a rotation (EXIF), apply it to its pixels" if found.rotated else ""
        is_, wanted = (f"{width}x{height}" for width, height in (found.image.size, size))
        found.problems.append(f"image {found.image.name} is {is_} but {annotation} {wanted}{turned}")


def open_image(root: Path, file: CheckedFile, problems: list[str]) -> Image.Image | None:
    """Decode and hash the image that `file` names; what is wrong with it goes to `problems`."""
    image = open_file(root, file, "image", problems)
    if image is not None and image.mode not in IMAGE_MODES:
        problems.append(f"image {file.name} has pixels of type {image.mode}; save it with 8 bits a channel")
    return image


def is_rotated(image: Image.Image) -> bool:
    """Whether the file asks viewers to turn the image (EXIF), which is not done here."""
    return image.getexif().get(_ORIENTATION, 1) != 1


def open_file(root: Path, file: CheckedFile, what: str, problems: list[str]) -> Image.Image | None:
    """Decode a file from the bytes that are also hashed; None, with a problem, where that fails."""
    data = read_bytes(root, file, what, problems)
    if data is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            lost = lost_in_decoding(image, data)
            image.load()
    except DECODE_ERRORS as error:
        reason = "it is empty" if not data else " ".join(str(error).split()) or type(error).__name__
        if "cannot identify" in reason:
            reason = "it is not in a known image format"
        if isinstance(error, Image.DecompressionBombError):
            reason = f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; cut it into tiles"
        problems.append(f"{what} {file.name} cannot be decoded: {reason}")
        return None
    if lost:
        problems.append(f"{what} {file.name} {lost}")
        return None
    file.size = image.size
    return image


def lost_in_decoding(image: Image.Image, data: bytes) -> str | None:
    """What of an image would be lost without a word when it is decoded; None where nothing is."""
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format != "MPO":  # a phone's photograph with a preview beside it
        return f"has {pages} pages or frames, of which one would be used; save that one alone"
    bits, bands, extra = 8, 0, ()
    if image.format == "PNG" and len(data) > _PNG_BITS:
        bits = data[_PNG_BITS]
    elif image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        bits, bands, extra = max(tags.get(258, (8,))), tags.get(277, 1), tags.get(338, ())
    if bits > 8 and image.mode in IMAGE_MODES:
        return (
            f"has {bits} bits a channel, of which 8 would be used; scale its values to 0..255 and save it so"
        )
    if bands > 4 or (bands == 4 and image.mode != "CMYK" and not {1, 2} & set(extra)):
        return f"has {bands} bands, of which 3 would be used; save the three that count as RGB"
    return None


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
