"""Cheap identity of a folder that a user owns: a fingerprint, and file digests that are kept.

The planner takes the fingerprint whenever it runs, so it looks at names, sizes and times only. When
those differ, `DigestCache` tells whether the bytes do, re-reading only files whose size or time
changed. Standard library only.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, read_json, write_json

CACHE_FORMAT = 1
RACY_NS = 2_000_000_000
"""A file changed less than this long before it was hashed may change again unseen (coarse clocks)."""


def cache_path(dataset: str) -> Path:
    """Where the digests of a data set's files are kept, relative to the working directory."""
    return Path("work") / "fingerprints" / f"{dataset}.json"


def fingerprint(root: str | Path, sources: Iterable[str]) -> dict[str, Any]:
    """Names, sizes and times below the given folders and list files: 20,000 files in well under 1 s.

    `sources` are relative to `root`; folders are not entered recursively, hidden files are left out.
    Returns `{"files", "newest_mtime_ns", "bytes", "listing"}`; `listing` is a digest over each file's
    name, size and time, so that a file put back with an old time is seen too.

    Raises `InputError` when the root or one of the sources is not there.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    entries: list[str] = []
    newest = size = 0
    for source in sorted(set(sources)):
        for name, info in _scan(root / source):
            entries.append(f"{source}/{name}\0{info.st_size}\0{info.st_mtime_ns}")
            newest = max(newest, info.st_mtime_ns)
            size += info.st_size
    entries.sort()
    return {
        "files": len(entries),
        "newest_mtime_ns": newest,
        "bytes": size,
        "listing": hashlib.sha256("\n".join(entries).encode(errors="surrogateescape")).hexdigest(),
    }


class DigestCache:
    """SHA-256 of files below `root`, kept in a JSON file and valid while size and time stay.

    `verified` is the last fingerprint whose content was found to be that of a manifest: a pair
    (fingerprint, the manifest's content), so that a touched folder is looked at only once.
    """

    def __init__(self, path: str | Path, root: str | Path) -> None:
        self.path = Path(path)
        self.root = Path(root)
        self.files: dict[str, tuple[int, int, str]] = {}
        self.verified: dict[str, Any] | None = None
        self._changed = False
        self._load()

    def pending_bytes(self, names: Iterable[str]) -> int:
        """How many bytes `digest` would have to read for these files; missing files count nothing."""
        total = 0
        for name in set(names):
            try:
                info = (self.root / name).stat()
            except OSError:
                continue
            if not self._knows(name, info):
                total += info.st_size
        return total

    def digest(self, name: str) -> str | None:
        """SHA-256 of the file, from the cache where size and time are unchanged; None if unreadable."""
        try:
            info = (self.root / name).stat()
            if self._knows(name, info):
                return self.files[name][2]
            digest = digest_file(self.root / name)
        except OSError:
            return None
        self.remember(name, info.st_size, info.st_mtime_ns, digest)
        return digest

    def remember(self, name: str, size: int, mtime_ns: int, digest: str) -> None:
        """Keep a digest that was taken of the file at this size and time."""
        if time.time_ns() - mtime_ns < RACY_NS:
            self._changed |= self.files.pop(name, None) is not None
        elif self.files.get(name) != (size, mtime_ns, digest):
            self.files[name] = (size, mtime_ns, digest)
            self._changed = True

    def verify(self, state: dict[str, Any], content: str) -> None:
        """Note that the folder at this fingerprint has the content of a manifest."""
        entry = {"fingerprint": state, "content": content}
        if time.time_ns() - state["newest_mtime_ns"] >= RACY_NS and self.verified != entry:
            self.verified = entry
            self._changed = True

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget files that are no longer part of the data set."""
        wanted = set(names)
        stale = [name for name in self.files if name not in wanted]
        for name in stale:
            del self.files[name]
        self._changed |= bool(stale)

    def save(self) -> None:
        """Write the cache if anything changed; it only saves time, so a read-only place is no error."""
        if not self._changed:
            return
        value = {
            "format": CACHE_FORMAT,
            "root": str(self.root.resolve()),
            "verified": self.verified,
            "files": {name: list(entry) for name, entry in sorted(self.files.items())},
        }
        try:
            write_json(self.path, value)
        except OSError:
            return
        self._changed = False

    def _knows(self, name: str, info: os.stat_result) -> bool:
        entry = self.files.get(name)
        return entry is not None and entry[:2] == (info.st_size, info.st_mtime_ns)

    def _load(self) -> None:
        if not self.path.is_file():
            return
        try:
            value = read_json(self.path)
            if value["format"] == CACHE_FORMAT and value["root"] == str(self.root.resolve()):
                self.files = {
                    name: (int(size), int(mtime), str(digest))
                    for name, (size, mtime, digest) in value["files"].items()
                }
                self.verified = value["verified"]
        except (InputError, KeyError, TypeError, ValueError, AttributeError):
            # a damaged cache costs time, not correctness
            self.files, self.verified = {}, None


def _scan(source: Path) -> list[tuple[str, os.stat_result]]:
    try:
        if not source.is_dir():
            return [("", source.stat())]
        with os.scandir(source) as entries:
            return [
                (entry.name, entry.stat())
                for entry in entries
                if not entry.name.startswith(".") and entry.is_file()
            ]
    except FileNotFoundError:
        raise InputError(f"{source}: no such file or folder") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None
