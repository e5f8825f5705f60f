"""What a reader of a data set returns: records (image and annotation) of a split, by relative path.

Every reader, whatever the layout on disk, ends in a `SplitListing`; the manifest checks and counts
the files that it names, and training sees nothing else of a data set. Standard library only.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pipeline_src.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
"""Of images in folders of a user's own."""


class Listed(Protocol):
    """A record of any task: its id, and the files that it is made of, relative to the root; image first."""

    @property
    def id(self) -> str:
        """The record's name, once in a split."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """Paths with `/` separators."""
        ...


AnyRecord = TypeVar("AnyRecord", bound=Listed)


@dataclass(frozen=True)
class Record:
    """One labelled image: its id, and both files relative to the data set's root (`/` separators)."""

    id: str
    image: str
    mask: str

    @property
    def files(self) -> tuple[str, ...]:
        """Image and mask."""
        return self.image, self.mask


@dataclass(frozen=True)
class SplitListing(Generic[AnyRecord]):
    """The records of one split as the folders and lists on disk give them; files are not opened.

    `root` is the folder that the records' paths are relative to. `sources` are the folders and list
    files (relative to `root`) whose content decides the listing: what a fingerprint is taken of.
    `problems` are findings that make the split unusable, `warnings` are worth a line.
    """

    root: Path
    records: tuple[AnyRecord, ...]
    sources: tuple[str, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_list(path: Path) -> list[str]:
    """Non-empty lines of a split list, stripped; an unreadable list is an `InputError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such split list") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the split list cannot be read ({error})") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def list_folder(path: Path) -> list[str]:
    """Sorted names of the files in a folder without hidden ones; a missing folder is an `InputError`."""
    try:
        with os.scandir(path) as entries:
            names = sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()
            )
    except FileNotFoundError:
        raise InputError(f"{path}: no such folder") from None
    except OSError as error:
        raise InputError(f"{path}: the folder cannot be read ({error.strerror})") from None
    for name in names:
        if not name.isprintable():  # also what is not UTF-8: such names can stand in no index
            raise InputError(f"{path}: file name {name!a} cannot be used; rename it")
    return names


def relative_path(path: Path, root: Path) -> str:
    """`path` relative to `root`, with `/` separators, also where it lies outside (`../labels`)."""
    # resolved, since `..` below a symbolic link leads to the link's target
    return Path(os.path.relpath(path.resolve(), root.resolve())).as_posix()


def take(records: Sequence[AnyRecord], limit: int | None, seed: int = 0) -> tuple[AnyRecord, ...]:
    """The first `limit` records after a seeded shuffle, back in their own order; all for None.

    The shuffle ranks every id by itself (a hash of seed and id), so the choice does not depend on
    the order of the list, and adding a record replaces at most one of the chosen ones.
    """
    if limit is None or limit >= len(records):
        return tuple(records)

    def rank(index: int) -> str:
        return hashlib.sha256(f"{seed}:{records[index].id}".encode()).hexdigest()

    chosen = sorted(range(len(records)), key=rank)[:limit]
    return tuple(records[index] for index in sorted(chosen))
