"""Sizes and checksums of fetched files: measured in one pass, compared, and remembered.

A file that was checked once is not read again as long as its size and modification time are the
same: the result stands in `<file>.checked.json` beside it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline_src.data.archives import RemoteFile
from pipeline_src.files import write_json
from pipeline_src.progress import Progress

_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileFacts:
    """What a file is: its size in bytes and its checksums (hex)."""

    bytes: int
    md5: str
    sha1: str
    sha256: str

    def checksum(self, algorithm: str) -> str:
        """The checksum named `md5`, `sha1` or `sha256`."""
        return {"md5": self.md5, "sha1": self.sha1, "sha256": self.sha256}[algorithm]


def measure(path: str | Path) -> FileFacts:
    """Read the file once and return its size and all three checksums."""
    path = Path(path)
    hashers = [hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha1", "sha256")]
    size = 0
    with open(path, "rb") as file, Progress(f"check {path.name}", path.stat().st_size, "B") as progress:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            for hasher in hashers:
                hasher.update(chunk)
            progress.update(len(chunk))
    return FileFacts(size, *(hasher.hexdigest() for hasher in hashers))


def mismatch(expected: RemoteFile, facts: FileFacts) -> str | None:
    """What contradicts the row, as `<what>: expected X, got Y`; None when everything known agrees."""
    if expected.bytes is not None and facts.bytes != expected.bytes:
        return f"size: expected {expected.bytes} bytes, got {facts.bytes}"
    for algorithm, digest in expected.checksums.items():
        if facts.checksum(algorithm) != digest:
            return f"{algorithm}: expected {digest}, got {facts.checksum(algorithm)}"
    return None


def remembered(path: str | Path) -> FileFacts:
    """The file's facts, from the record beside it when it still fits, else measured and recorded."""
    path = Path(path)
    state = path.stat()
    try:
        record = json.loads(_record(path).read_text(encoding="utf-8"))
        if (record["bytes"], record["mtime_ns"]) == (state.st_size, state.st_mtime_ns):
            return FileFacts(**{key: record[key] for key in ("bytes", "md5", "sha1", "sha256")})
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no record, or a damaged one: the file itself decides
    facts = measure(path)
    remember(path, facts)
    return facts


def remember(path: str | Path, facts: FileFacts) -> None:
    """Record the facts of a file that was just measured."""
    path = Path(path)
    write_json(_record(path), {**asdict(facts), "mtime_ns": path.stat().st_mtime_ns})


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.checked.json")
