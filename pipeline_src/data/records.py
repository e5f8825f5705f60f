"""What a reader of a data set returns: records (image and annotation) of a split, by relative path.

Every reader, whatever the layout on disk, ends in a `SplitListing`; the manifest checks and counts
the files that it names, and training sees nothing else of a data set. Standard library only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar


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
    `problems` are findings that make the split unusable, `warnings` are worth a line. `rotated_is_wrong`:
    images that ask to be turned make it unusable, since nobody can tell whether their annotations are.
    """

    root: Path
    records: tuple[AnyRecord, ...]
    sources: tuple[str, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rotated_is_wrong: bool = False


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
