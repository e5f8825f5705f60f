"""Pretrained weights as a verified safetensors file: a timm tag that is fetched, or a user's own file."""

import json
import struct
from pathlib import Path
from typing import Any

from pipeline_src.data.accepted_checksums import ACCEPTED_TABLE, record_accepted, with_accepted
from pipeline_src.data.archives import DIGEST_LENGTH, RemoteFile
from pipeline_src.data.checksums import measure
from pipeline_src.data.fetch import fetch
from pipeline_src.data.http import HttpOptions
from pipeline_src.errors import InputError
from pipeline_src.progress import say

_LARGEST_HEADER = 100_000_000
"""Bytes: the limit that the safetensors format itself sets."""


def fetch_weights(
    row: RemoteFile,
    folder: Path,
    mirror: str | None = None,
    accept_unverified: bool = False,
    options: HttpOptions | None = None,
) -> dict[str, Any]:
    """Fetch a tag's file into `folder` and return its record (`path`, `sha256`, ...).

    A checksum that `folder/accepted.csv` holds counts as known. Where none is known, the file is
    taken only with `accept_unverified`, and its SHA-256 is recorded there for the user to commit.
    """
    table = folder / ACCEPTED_TABLE.name
    known = with_accepted(row, table)
    fetched = fetch(known, folder, mirror, accept_unverified, check_safetensors, options)
    if not known.checksums:
        record_accepted(row, fetched.facts, fetched.origin, table)
        say(f"{row.file}: sha256 {fetched.facts.sha256} recorded in {table}; commit it")
    return fetched.record()


def check_own_file(file: str, sha256: str | None, source: str | None) -> dict[str, Any]:
    """Verify a user's own weights where they are; returns their record. Nothing is copied or written."""
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"weights file {file}: no such file")
    check_safetensors(path)
    facts = measure(path)
    if not sha256 or len(sha256) != DIGEST_LENGTH["sha256"]:
        raise InputError(
            f"weights file {file}: sha256 must be given, 64 hex digits; this file has {facts.sha256}"
        )
    if facts.sha256 != sha256.lower():
        raise InputError(f"weights file {file}: sha256: expected {sha256}, got {facts.sha256}")
    return {
        "path": str(path),
        "bytes": facts.bytes,
        "sha256": facts.sha256,
        "origin": "user's file",
        "source": source,
        "verified": ["sha256"],
    }


def check_safetensors(path: Path) -> None:
    """Raise `InputError` unless the file has a sound safetensors header that fits its size."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header = file.read(length) if 2 <= length <= min(_LARGEST_HEADER, size - 8) else b""
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise InputError(f"{path}: not a safetensors file") from None
    if not ends or 8 + length + max(ends) != size:
        raise InputError(f"{path}: a cut-off or empty safetensors file ({size} bytes)")
