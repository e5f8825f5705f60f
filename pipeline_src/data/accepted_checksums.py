"""The checksums of files that were fetched before anybody knew one, for the user to commit.

Nobody publishes checksums of timm's weights. The first fetch, allowed by hand, records the SHA-256
here; from then on, and for everybody who has the committed file, it is verified.
"""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline_src.csv_rows import read_rows
from pipeline_src.data.archives import WEIGHTS_TABLE, RemoteFile, load_weights
from pipeline_src.data.checksums import FileFacts
from pipeline_src.data.locking import locked
from pipeline_src.errors import InputError
from pipeline_src.files import write_text

ACCEPTED_TABLE = Path("data/weights/accepted.csv")

_COLUMNS = ["tag", "file", "bytes", "sha256", "url"]


@dataclass(frozen=True)
class Accepted:
    """One accepted file: timm tag, file name, size in bytes, SHA-256, and where it came from."""

    tag: str
    file: str
    bytes: int
    sha256: str
    url: str


def read_accepted(table: str | Path = ACCEPTED_TABLE) -> dict[str, Accepted]:
    """Accepted files by tag; a malformed or duplicate row is an `InputError` with file and line.

    A table that is not there is empty.
    """
    table = Path(table)
    if not table.exists():
        return {}
    accepted: dict[str, Accepted] = {}
    for line, cells in read_rows(table, _COLUMNS):
        if cells["tag"] in accepted:
            raise InputError(f"{table}:{line}: {cells['tag']} is in the table twice")
        if len(cells["sha256"]) != 64 or not cells["bytes"].isdigit():
            raise InputError(f"{table}:{line}: expected a size in bytes and a sha256 of 64 hex digits")
        accepted[cells["tag"]] = Accepted(**{**cells, "bytes": int(cells["bytes"])})  # type: ignore[arg-type]
    return accepted


def record_accepted(
    row: RemoteFile, facts: FileFacts, origin: str, table: str | Path = ACCEPTED_TABLE
) -> None:
    """Add a file to the table (once). Raises `InputError` when it was accepted with other bytes before."""
    table = Path(table)
    with locked(table):
        accepted = read_accepted(table)
        earlier = accepted.get(row.name)
        if earlier is not None:
            if earlier.sha256 != facts.sha256:
                raise InputError(
                    f"{table}: {row.name} was accepted with sha256 {earlier.sha256}, this file has "
                    f"{facts.sha256}; remove the row if the weights were replaced on purpose"
                )
            return
        accepted[row.name] = Accepted(row.name, row.file, facts.bytes, facts.sha256, origin)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows((a.tag, a.file, a.bytes, a.sha256, a.url) for a in accepted.values())
        write_text(table, text.getvalue())


def with_accepted(row: RemoteFile, table: Path = ACCEPTED_TABLE) -> RemoteFile:
    """The row, with the accepted SHA-256 and size where the row knows no checksum.

    Raises `InputError` when the accepted checksum contradicts the row's.
    """
    accepted = read_accepted(table).get(row.name)
    if accepted is None:
        return row
    if row.sha256 is not None and row.sha256 != accepted.sha256:
        raise InputError(
            f"{table}: sha256 of {row.name} is {accepted.sha256}, its table row has {row.sha256}"
        )
    return replace(row, bytes=row.bytes or accepted.bytes, sha256=accepted.sha256)


def weights_row(tag: str, root: str | Path = ".") -> RemoteFile:
    """The table row of a timm tag, accepted checksum included; an unknown tag is an `InputError`.

    `root` is the folder that holds `data/`.
    """
    rows = load_weights(Path(root) / WEIGHTS_TABLE)
    if tag not in rows:
        raise InputError(f"weights: unknown tag {tag!r}; known: {', '.join(sorted(rows))}")
    return with_accepted(rows[tag], Path(root) / ACCEPTED_TABLE)
