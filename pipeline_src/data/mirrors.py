"""Places where a file may lie outside its own folder: addresses, and mirrors of whole collections.

Standard library only, so that planning can ask the same questions as fetching.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline_src.data.archives import RemoteFile
from pipeline_src.errors import InputError


def is_http(place: str) -> bool:
    """Whether a place is an http or https address."""
    return place.startswith(("http://", "https://"))


def local_path(place: str) -> Path:
    """The path of a local place, given as a path or as a `file://` address."""
    return Path(unquote(urlsplit(place).path)) if place.startswith("file://") else Path(place).expanduser()


def mirror_candidates(row: RemoteFile, mirror: str | Path | None) -> list[str]:
    """Where a mirror may hold the file; a mirror folder that is not there is an `InputError`."""
    if mirror is None:
        return []
    base = str(mirror)
    if is_http(base):
        return [f"{base.rstrip('/')}/{row.file}"]
    if not local_path(base).is_dir():
        raise InputError(f"mirror {mirror}: no such folder")
    return [str(local_path(base) / row.file), str(local_path(base) / row.name / row.file)]
