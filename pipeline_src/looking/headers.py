"""What files say without being decoded: sizes, rotation, depth of colours, missing files, equal files."""

import hashlib
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline_src.data.check_file import DECODE_ERRORS, IMAGE_MODES, is_rotated, lost_in_decoding

_HEAD = 32
"""Bytes that a PNG needs to say its depth."""
SECONDS_FOR_EQUAL = 0.3


@dataclass(frozen=True)
class Header:
    """Width and height (0 where it cannot be opened), whether it is to be turned, what is wrong."""

    size: tuple[int, int] = (0, 0)
    turned: bool = False
    problem: str = ""
    missing: bool = False


def read_header(path: Path, name: str) -> Header:
    """The header of an image; never raises for a bad file, whose `problem` names it."""
    try:
        with open(path, "rb") as handle, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head = handle.read(_HEAD)
            handle.seek(0)
            with Image.open(handle) as image:
                lost = lost_in_decoding(image, head)
                if not lost and image.mode not in IMAGE_MODES:
                    lost = f"has pixels of type {image.mode}; save it with 8 bits a channel"
                return Header(image.size, is_rotated(image), f"image {name} {lost}" if lost else "")
    except FileNotFoundError:
        return Header(problem=f"image {name} is missing", missing=True)
    except DECODE_ERRORS as error:
        return Header(problem=f"image {name} cannot be decoded ({type(error).__name__})")


def turned_line(split: str, turned: Sequence[str]) -> list[str]:
    """A line about images with a rotation, which the first job refuses, and what to do about it."""
    if not turned:
        return []
    return [
        f"{split}: {len(turned)} images carry a rotation (EXIF), first {turned[0]}; turn their "
        "pixels, or add `rotation: ignore` to the split if annotations fit the pixels as they are stored"
    ]


def sizes_on_disk(root: Path, names: Sequence[str]) -> dict[str, int]:
    """Bytes of the files below `root` that are there, by name. Folders are scanned, which is quicker."""
    by_folder: dict[str, dict[str, str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        by_folder.setdefault(folder, {})[file] = name
    found = {}
    for folder, files in by_folder.items():
        with suppress(OSError), os.scandir(f"{root}/{folder}") as entries:
            for entry in entries:
                if entry.name in files:
                    found[files[entry.name]] = entry.stat().st_size
    for name in names:
        if name not in found:  # gone, or called otherwise on a disk that does not tell letters apart
            with suppress(OSError):
                found[name] = Path(f"{root}/{name}").stat().st_size
    return {name: found[name] for name in names if name in found}


def equal_files(
    root: Path, splits: Mapping[str, Sequence[Any]], seconds: float = SECONDS_FOR_EQUAL
) -> list[str]:
    """A line about images of equal bytes under several names, in one split or in two.

    Only files of the same size are compared, for `seconds`; the line says where that was too short.
    """
    split_of = {record.image: split for split, records in splits.items() for record in records}
    by_size: dict[int, list[str]] = {}
    for name, size in sizes_on_disk(root, list(split_of)).items():
        by_size.setdefault(size, []).append(name)
    began, compared, alike = time.monotonic(), True, list[list[str]]()
    for names in by_size.values():
        by_digest: dict[bytes, list[str]] = {}
        for name in names if len(names) > 1 else ():
            if time.monotonic() - began > seconds:
                compared = False
                break
            try:
                digest = hashlib.sha1(Path(f"{root}/{name}").read_bytes(), usedforsecurity=False).digest()
            except OSError:
                continue
            by_digest.setdefault(digest, []).append(name)
        alike += [found for found in by_digest.values() if len(found) > 1]
    if not alike:
        return []
    across = [found for found in alike if len({split_of[name] for name in found}) > 1]
    first = (across or alike)[0]
    shown = " and ".join(f"{name} ({split_of[name]})" for name in (first[0], first[-1]))
    seen = "" if compared else ", of those that there was time to compare"
    apart = f", {len(across)} of them in two splits" if across else ""
    return [f"{len(alike)} images stand there under several names{apart}{seen}: {shown}"]
