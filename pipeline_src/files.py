"""Reading and writing small files safely: atomic replacement, canonical JSON, digests."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError

_CHUNK = 1 << 20
_STAMP = ".snakemake_timestamp"
"""Snakemake leaves this in a folder that a job has made."""


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it replaces `target` in one step.

    The file is flushed to disk before it is renamed and gets the permissions that an ordinary
    `open()` would give. When the block raises, `target` is untouched and nothing is left behind.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, target)
        fsync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Yield a new folder beside `target`; on success it replaces `target`, which is moved aside first.

    When the block raises, `target` is untouched and nothing is left behind: a folder is never half new.
    """
    target = Path(target)
    new, old = (target.with_name(f".{target.name}.{name}-{os.getpid()}") for name in ("new", "old"))
    new.mkdir(parents=True)
    try:
        yield new
        if target.exists():
            os.replace(target, old)
        os.replace(new, target)
    finally:
        for one in (new, old):
            shutil.rmtree(one, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` atomically as UTF-8 with Unix line ends."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` atomically as indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing or damaged one is an `InputError` that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON-able value, independent of key order and spacing."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_file(path: str | Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes, read in chunks."""
    hasher = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def files_below(folder: str | Path) -> list[Path]:
    """All files in a folder and below it, by relative path; without Snakemake's time stamp."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != _STAMP)


def digest_folder(folder: str | Path) -> str:
    """Hex digest of a folder's files: their relative paths and bytes."""
    return digest_of(
        [[path.relative_to(folder).as_posix(), digest_file(path)] for path in files_below(folder)]
    )


def content_of(path: str | Path) -> str:
    """What a file *says*, as a digest: its own top-level `content` key where it is JSON and has one.

    Records and sidecars carry times and host names that say nothing about the result; their
    `content` key names what a later job can depend on. Any other file is identified by its bytes.
    """
    if Path(path).suffix == ".json":
        value = read_json(path)
        if isinstance(value, dict) and isinstance(value.get("content"), str):
            return value["content"]
    return digest_file(path)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def fsync_folder(folder: Path) -> None:
    """Have a folder's entries on disk, so that a rename in it survives a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
