"""Bringing one file into its folder, verified: from DVC, from a mirror, or from its addresses.

The order: the file is already there; DVC's cache and remote; the mirror; the addresses. Whatever
the way, size and checksums are verified before the file gets its final name, so that a file under
its final name can be used.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.checksums import FileFacts, measure, mismatch, remember, remembered
from pipeline_src.data.dvc_store import pull
from pipeline_src.data.free_space import require_space
from pipeline_src.data.http import DownloadError, HttpOptions, discard, download
from pipeline_src.data.locking import locked
from pipeline_src.data.mirrors import is_http, local_path, mirror_candidates
from pipeline_src.errors import InputError
from pipeline_src.progress import Progress, say

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Fetched:
    """A file that is in place: its path, what it is, where it came from, and which facts were verified."""

    path: Path
    facts: FileFacts
    origin: str
    verified: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """The entries of a sidecar."""
        return {
            "path": str(self.path),
            "bytes": self.facts.bytes,
            "md5": self.facts.md5,
            "sha1": self.facts.sha1,
            "sha256": self.facts.sha256,
            "origin": self.origin,
            "verified": list(self.verified),
        }


class _Rejected(Exception):
    """A candidate is not the file that is wanted."""


def fetch(
    row: RemoteFile,
    folder: str | Path,
    mirror: str | Path | None = None,
    accept_unverified: bool = False,
    check: Callable[[Path], None] | None = None,
    options: HttpOptions | None = None,
) -> Fetched:
    """Make `folder/<row.file>` the verified file, fetching it only when it is not there yet.

    `mirror` is a folder (or an http address of one) that holds `<file>` or `<name>/<file>`. `check`
    looks into a candidate and raises `InputError` when it is not of the right kind. Raises
    `InputError` when no source has the file, when a person has to log in for it, when no checksum
    is known and `accept_unverified` is false, and when the disk is full.
    """
    folder = Path(folder)
    target = folder / row.file
    mirrors = mirror_candidates(row, mirror)
    if not row.checksums and not accept_unverified:
        raise InputError(
            f"{row.file}: no checksum of {row.name} is known, so it cannot be trusted; accept it once with "
            "`--config accept_unverified=true` and commit the sha256 that is then recorded"
        )
    failures: list[str] = []
    with locked(target):
        present = _present(row, target, check, failures) or _pulled(row, target, check, failures)
        if present is not None:
            return present
        for place in mirrors:
            if not is_http(place) and local_path(place).is_file():
                try:
                    return _place(row, local_path(place), target, f"mirror {place}", check)
                except _Rejected as problem:
                    failures.append(f"mirror {place}: {problem}")
                    say(f"{row.file} from mirror {place} is refused: {problem}")
        if row.login is not None and not any(is_http(place) for place in mirrors):
            raise InputError(_login_message(row, folder, failures))
        for url in (*(place for place in mirrors if is_http(place)), *row.urls):
            try:
                return _from_url(row, url, target, check, options)
            except (_Rejected, DownloadError) as problem:
                failures.append(f"{url}: {problem}")
                say(f"{row.file} from {url}: {problem}")
    if row.login is not None:
        raise InputError(_login_message(row, folder, failures))
    raise InputError(
        f"{row.file} could not be fetched ({'; '.join(failures) or 'it has no address'}); without a network "
        f"put {row.file} into {folder}, or name a folder that holds it: `--config mirror=FOLDER`"
    )


def _pulled(
    row: RemoteFile, target: Path, check: Callable[[Path], None] | None, failures: list[str]
) -> Fetched | None:
    """The file from DVC's cache or remote, which know files by their MD5; a wrong one is set aside."""
    if row.md5 is None:
        return None
    problem = pull(target)
    if problem:
        say(f"{row.file}: not from DVC ({problem})")
    return None if problem is not None else _present(row, target, check, failures, origin="DVC")


def _present(
    row: RemoteFile,
    target: Path,
    check: Callable[[Path], None] | None,
    failures: list[str],
    origin: str = "already there",
) -> Fetched | None:
    """The file when it is in place and right; a wrong one is set aside as `<file>.bad`."""
    if not target.exists():
        return None
    try:
        return Fetched(target, _verify(row, remembered(target), target, check), origin, _verified(row))
    except _Rejected as problem:
        aside = target.with_name(f"{target.name}.bad")
        os.replace(target, aside)
        failures.append(f"{target}: {problem} (set aside as {aside.name})")
        say(failures[-1])
        return None


def _place(
    row: RemoteFile, source: Path, target: Path, origin: str, check: Callable[[Path], None] | None
) -> Fetched:
    """Link (else copy) a local file beside its target, verify it, and give it its name."""
    incoming = target.with_name(f".{target.name}.incoming")
    incoming.unlink(missing_ok=True)
    try:
        _link_or_copy(source.resolve(), incoming, row.file)
        facts = _verify(row, measure(incoming), incoming, check)
        os.replace(incoming, target)
    finally:
        incoming.unlink(missing_ok=True)
    remember(target, facts)
    say(f"{row.file}: from {origin}")
    return Fetched(target, facts, origin, _verified(row))


def _from_url(
    row: RemoteFile,
    url: str,
    target: Path,
    check: Callable[[Path], None] | None,
    options: HttpOptions | None,
) -> Fetched:
    if not is_http(url):
        if not local_path(url).is_file():
            raise DownloadError("no such file")
        return _place(row, local_path(url), target, url, check)
    part = target.with_name(f"{target.name}.part")
    for last in (False, True):  # started again once: a server that sends wrong bytes does so every time
        continued = download(url, part, row.file, row.bytes, bool(row.checksums), options)
        try:
            facts = _verify(row, measure(part), part, check)
            break
        except _Rejected as problem:
            discard(part)
            if last or not continued:
                raise
            say(f"{row.file}: {problem}; the pieces do not fit, starting again")
    os.replace(part, target)
    discard(part)
    remember(target, facts)
    return Fetched(target, facts, url, _verified(row))


def _verify(row: RemoteFile, facts: FileFacts, path: Path, check: Callable[[Path], None] | None) -> FileFacts:
    problem = mismatch(row, facts)
    if problem:
        raise _Rejected(problem)
    if check is not None:
        try:
            check(path)
        except InputError as error:
            raise _Rejected(str(error)) from None
    return facts


def _verified(row: RemoteFile) -> tuple[str, ...]:
    return (*(("bytes",) if row.bytes is not None else ()), *row.checksums)


def _link_or_copy(source: Path, target: Path, label: str) -> None:
    try:
        os.link(source, target)
        return
    except OSError:
        pass  # another file system, or links are not allowed: copy
    size = source.stat().st_size
    require_space(target.parent, size)
    with open(source, "rb") as reader, open(target, "wb") as writer, Progress(label, size, "B") as progress:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            progress.update(len(chunk))
        writer.flush()
        os.fsync(writer.fileno())


def _login_message(row: RemoteFile, folder: Path, failures: list[str]) -> str:
    tried = f" (refused: {'; '.join(failures)})" if failures else ""
    login = re.sub(r"\s+", " ", row.login or "")
    return (
        f"{row.file} needs an account and cannot be fetched by a program{tried}: {login}; then put "
        f"it into {folder}, or into a folder named by `--config mirror=FOLDER`, and run this again"
    )
