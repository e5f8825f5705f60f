"""The tables of what can be downloaded, as typed rows: data-set archives and pretrained weights.

`data/archives.csv` and `data/weights.csv` hold name, size, checksums, address and mirrors of every
file. A cell that nobody knows is empty: it is never invented, and what is empty is not checked.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.components import COMPONENTS
from pipeline_src.errors import InputError

ARCHIVES_TABLE = Path("data/archives.csv")
WEIGHTS_TABLE = Path("data/weights.csv")

DIGEST_LENGTH = {"md5": 32, "sha1": 40, "sha256": 64}
"""Hex digits of each checksum that a row may state."""

_WEIGHTS_COLUMNS = ["tag", "file", "bytes", "md5", "sha256", "url", "mirrors", "licence", "source", "note"]
_ARCHIVE_COLUMNS = ["name", "dataset", "version", "file", "bytes", *DIGEST_LENGTH]
_ARCHIVE_COLUMNS += ["url", "mirrors", "convert", "login", "register", "licence", "source", "note"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ADDRESS = re.compile(r"(https?|file)://[^\s]+")
_RESERVED_SUFFIXES = (".dvc", ".json", ".csv", ".part", ".bad", ".lock")


@dataclass(frozen=True)
class RemoteFile:
    """One file that can be fetched, with everything that is known about it beforehand.

    `urls` are tried in order. `login` is what a person has to do when no program may fetch the file.
    `convert` names what its files are converted to on extraction. Raises `InputError` on construction
    through `from_params` and the table loaders only.
    """

    name: str
    file: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    login: str | None = None
    convert: str | None = None
    dataset: str = ""
    version: str = ""
    licence: str = ""
    source: str = ""
    note: str = ""

    @property
    def checksums(self) -> dict[str, str]:
        """The checksums that are known, by algorithm."""
        known = {"md5": self.md5, "sha1": self.sha1, "sha256": self.sha256}
        return {algorithm: digest for algorithm, digest in known.items() if digest}

    def params(self) -> dict[str, Any]:
        """What identifies the file in a `fetch` job: unknown entries are left out."""
        values = {
            "name": self.name,
            "file": self.file,
            "version": self.version or None,
            "urls": list(self.urls),
            "bytes": self.bytes,
            **self.checksums,
            "login": self.login,
        }
        return {key: value for key, value in values.items() if value is not None}

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> "RemoteFile":
        """The row of a job's parameters (the inverse of `params`; other keys are ignored)."""
        where = f"job parameters of {params.get('name')!r}"
        size = params.get("bytes")
        cells = {key: params.get(key) or "" for key in ("name", "file", "md5", "sha1", "sha256")}
        for key, value in cells.items():
            if not isinstance(value, str):
                raise InputError(f"{where}: {key} is {value!r}, not a text")
        urls = params.get("urls", [])
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise InputError(f"{where}: urls is {urls!r}, not a list of addresses")
        _check_cells(cells, [], where)
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size <= 0):
            raise InputError(f"{where}: bytes is {size!r}, not a positive whole number")
        return cls(
            name=cells["name"],
            file=cells["file"],
            urls=tuple(urls),
            bytes=size,
            md5=cells["md5"] or None,
            sha1=cells["sha1"] or None,
            sha256=cells["sha256"] or None,
            login=params.get("login"),
        )


def load_archives(table: str | Path = ARCHIVES_TABLE) -> dict[str, RemoteFile]:
    """Rows of the archive table by name.

    A missing, malformed or duplicate row is an `InputError` that names file and line.
    """
    rows: dict[str, RemoteFile] = {}
    for line, cells in read_csv(Path(table), _ARCHIVE_COLUMNS):
        where = f"{table}:{line}"
        if cells["login"] not in ("", "yes"):
            raise InputError(f"{where}: login is {cells['login']!r}; allowed: yes, or empty")
        if bool(cells["login"]) != bool(cells["register"]):
            raise InputError(
                f"{where}: login and register (the sign-up page) are given together or not at all"
            )
        row = _row(cells, cells["name"], where)
        _refuse_duplicate(row, rows.values(), where)
        rows[row.name] = row
    return rows


def load_weights(table: str | Path = WEIGHTS_TABLE) -> dict[str, RemoteFile]:
    """Rows of the weights table by timm tag; errors as in `load_archives`."""
    rows: dict[str, RemoteFile] = {}
    for line, cells in read_csv(Path(table), _WEIGHTS_COLUMNS):
        where = f"{table}:{line}"
        if cells["file"] != f"{cells['tag']}.safetensors":
            raise InputError(f"{where}: file is {cells['file']!r}, expected {cells['tag']}.safetensors")
        row = _row(cells, cells["tag"], where)
        _refuse_duplicate(row, rows.values(), where)
        rows[row.name] = row
    return rows


def read_csv(path: Path, columns: list[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield `(line, cells)` of a CSV table that has exactly `columns`, cells stripped of blanks."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such table") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if list(reader.fieldnames or []) != columns:
            raise InputError(f"{path}:1: columns are {reader.fieldnames}, expected {columns}")
        for cells in reader:
            if None in cells or None in cells.values():
                raise InputError(f"{path}:{reader.line_num}: expected {len(columns)} cells")
            yield reader.line_num, {key: value.strip() for key, value in cells.items()}
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not valid CSV ({error})") from None


def _row(cells: dict[str, str], name: str, where: str) -> RemoteFile:
    urls = [cells["url"], *cells["mirrors"].split()]
    _check_cells({**cells, "name": name}, urls, where)
    if cells["bytes"] and not re.fullmatch(r"[1-9][0-9]*", cells["bytes"]):
        raise InputError(f"{where}: bytes is {cells['bytes']!r}, not a positive whole number")
    login = None
    if cells.get("login"):
        login = f"register at {cells['register']}, log in, and download {cells['file']} from {cells['url']}"
        urls = []
    return RemoteFile(
        name=name,
        file=cells["file"],
        urls=tuple(urls),
        bytes=int(cells["bytes"]) if cells["bytes"] else None,
        md5=cells["md5"] or None,
        sha1=cells.get("sha1") or None,
        sha256=cells["sha256"] or None,
        login=login,
        convert=cells.get("convert") or None,
        dataset=cells.get("dataset", ""),
        version=cells.get("version", ""),
        licence=cells["licence"],
        source=cells["source"],
        note=cells["note"],
    )


def _check_cells(cells: dict[str, str], urls: list[str], where: str) -> None:
    if not _NAME.fullmatch(cells["name"]):
        raise InputError(f"{where}: name {cells['name']!r} must be letters, digits and . _ -")
    file = cells["file"]
    if not _NAME.fullmatch(file) or file.endswith(_RESERVED_SUFFIXES):
        raise InputError(
            f"{where}: file {file!r} must be a plain file name (not {', '.join(_RESERVED_SUFFIXES)})"
        )
    for algorithm, length in DIGEST_LENGTH.items():
        digest = cells.get(algorithm, "")
        if digest and not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
            raise InputError(f"{where}: {algorithm} {digest!r} is not {length} lower-case hex digits")
    for url in urls:
        if not _ADDRESS.fullmatch(url):
            raise InputError(f"{where}: {url!r} is not an http, https or file address")


def _refuse_duplicate(row: RemoteFile, others: Iterable[RemoteFile], where: str) -> None:
    for other in others:
        if other.name == row.name:
            raise InputError(f"{where}: {row.name} is in the table twice")
        if other.file == row.file:
            raise InputError(f"{where}: file {row.file} is already that of {other.name}")
        # two different files never share a checksum: one of the cells was copied by mistake
        for algorithm, digest in row.checksums.items():
            if other.checksums.get(algorithm) == digest:
                raise InputError(f"{where}: {algorithm} of {row.name} is that of {other.name}, a copy error")


def conversion_component(conversion: str) -> str:
    """The component that converts an archive's files, by its name in column `convert`.

    Raises `InputError` for a conversion that does not exist.
    """
    kinds = {kind.partition(".")[2]: kind for kind in COMPONENTS if kind.startswith("conversion.")}
    if conversion not in kinds:
        raise InputError(f"{ARCHIVES_TABLE}: convert is {conversion!r}; known: {', '.join(kinds)}")
    return kinds[conversion]
