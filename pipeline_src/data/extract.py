"""Unpacking a verified archive into a folder of its own, refusing members that would leave it.

The members are unpacked into a hidden folder beside the target, which takes its place in one step
at the end. `<target>.extracted.json` remembers what was unpacked, so that it is not done twice.
"""

import errno
import gzip
import json
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline_src.data.free_space import require_space
from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.progress import Progress, say

_FORMAT = 1
_CHUNK = 1 << 20
_GROWTH = 100
"""Data sets of images hardly shrink, and annotations as JSON to a twentieth at best."""
_HARMLESS = 256 << 20
"""Bytes that an archive may always unpack to."""


@dataclass(frozen=True)
class Extracted:
    """An unpacked archive: its folder, number of files, their bytes, and the facts of a conversion."""

    root: Path
    files: int
    bytes: int
    facts: dict[str, Any]
    fresh: bool


def extract(
    archive: Path,
    target: Path,
    identity: dict[str, Any],
    unpack: Callable[[Path, Path], dict[str, Any]] | None = None,
) -> Extracted:
    """Make `target` the unpacked `archive`, unless it is already.

    `identity` says what is unpacked and how (the archive's checksum, a conversion): the same
    identity with the same number of files and bytes on disk is not unpacked again, even when the
    archive itself is gone. `unpack(archive, folder)` fills the folder and returns facts (default:
    all members). Raises `InputError` for a missing, damaged or malicious archive and leaves nothing.
    """
    unpack = unpack or unpack_members
    memory = target.with_name(f"{target.name}.extracted.json")
    earlier = _still_there(target, memory, identity)
    if earlier is not None:
        return earlier
    if not archive.is_file():
        raise InputError(f"{archive}: no such archive")
    temporary = target.with_name(f".{target.name}.extracting")
    _remove(temporary)  # a killed job's
    temporary.mkdir(parents=True)
    try:
        facts = unpack(archive, temporary)
        files, size = _count(temporary)
        os.sync()
        memory.unlink(missing_ok=True)
        _remove(target)
        os.replace(temporary, target)
    finally:
        _remove(temporary)
    write_json(
        memory, {"format": _FORMAT, "identity": identity, "files": files, "bytes": size, "facts": facts}
    )
    say(f"{archive.name}: {files} files in {target}")
    return Extracted(target, files, size, facts, fresh=True)


def unpack_members(archive: Path, folder: Path) -> dict[str, Any]:
    """Unpack all members of a tar (plain or compressed) or zip archive into `folder`."""
    require_space(folder, archive.stat().st_size)
    try:
        if zipfile.is_zipfile(archive) and not tarfile.is_tarfile(archive):
            _unpack_zip(archive, folder)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, folder)
        else:
            raise InputError(f"{archive}: neither a tar nor a zip archive")
    except tarfile.FilterError as error:
        raise InputError(f"{archive}: refused, {error}") from None
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        gzip.BadGzipFile,
        KeyError,  # a hard link to a member that is not there
        NotImplementedError,  # a method of packing that nobody here knows
    ) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        raise InputError(f"{archive}: damaged ({text})") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{folder}: the disk is full") from None
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG):
            raise InputError(
                f"{archive}: refused, a name that cannot be a file here ({error.strerror})"
            ) from None
        raise
    return {}


def _refuse_bomb(archive: Path, unpacked: int) -> None:
    """Nothing that anybody keeps packed grows a hundredfold, except for small files of zeros."""
    if unpacked > max(_HARMLESS, _GROWTH * archive.stat().st_size):
        raise InputError(f"{archive}: refused, it unpacks to more than {_GROWTH} times its size")


def _unpack_tar(archive: Path, folder: Path) -> None:
    links: list[Path] = []
    with (
        open(archive, "rb") as raw,
        Progress(f"extract {archive.name}", archive.stat().st_size, "B") as progress,
        tarfile.open(fileobj=raw, mode="r:*") as tar,
    ):
        position = unpacked = 0
        for member in tar:
            unpacked += member.size
            _refuse_bomb(archive, unpacked)
            path = _inside(folder, member.name, archive)
            _refuse_link_on_the_way(folder, path, archive, member.name)
            if member.issym() or member.islnk():
                links.append(path)
                base = path.parent if member.issym() else folder
                linked = _inside(
                    folder, os.path.relpath(base / member.linkname, folder), archive, member.name
                )
                _refuse_link_on_the_way(folder, linked, archive, member.name)
            tar.extract(member, folder, filter="data")
            progress.update(raw.tell() - position)
            position = raw.tell()
        # a compressed stream carries a checksum at its very end, behind the last member
        while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
            pass
    root = folder.resolve()
    for path in links:  # what a link meant may have changed with the members after it
        if not path.resolve().is_relative_to(root):
            raise InputError(f"{archive}: refused, {path.name!r} links to a place outside its folder")


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as bundle:
        members = bundle.infolist()
        total = sum(member.file_size for member in members)
        _refuse_bomb(archive, total)
        require_space(folder, total)
        with Progress(f"extract {archive.name}", total, "B") as progress:
            for member in members:
                # orig_filename: zipfile itself rewrites what it takes for unusual
                path = _inside(folder, member.orig_filename, archive)
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise InputError(
                        f"{archive}: refused, {member.filename!r} is neither a file nor a folder"
                    )
                if member.flag_bits & 1:
                    raise InputError(f"{archive}: {member.filename!r} is encrypted")
                if member.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with bundle.open(member) as source, open(path, "wb") as file:
                    while chunk := source.read(_CHUNK):
                        file.write(chunk)
                        progress.update(len(chunk))


def _inside(folder: Path, name: str, archive: Path, member: str | None = None) -> Path:
    """Where a member belongs; `InputError` when that is not below the folder."""
    parts = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name or drive:
        raise InputError(f"{archive}: refused, {member or name!r} points outside its folder")
    return folder / parts


def _refuse_link_on_the_way(folder: Path, path: Path, archive: Path, member: str) -> None:
    """No member is reached through a symbolic link of the same archive, nor written over one."""
    while path != folder:
        if path.is_symlink():
            raise InputError(f"{archive}: refused, {member!r} goes through the link {path.name!r}")
        path = path.parent


def _still_there(target: Path, memory: Path, identity: dict[str, Any]) -> Extracted | None:
    try:
        record = json.loads(memory.read_text(encoding="utf-8"))
        same = record["format"] == _FORMAT and record["identity"] == identity
        if same and target.is_dir() and _count(target) == (record["files"], record["bytes"]):
            return Extracted(target, record["files"], record["bytes"], record["facts"], fresh=False)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no record, or a damaged one: unpack
    return None


def _count(folder: Path) -> tuple[int, int]:
    """Number of files below a folder, and their bytes; links count as themselves."""
    files = size = 0
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_size
    return files, size


def _remove(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
