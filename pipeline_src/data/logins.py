"""Which archives only a person can bring: those that need an account and are nowhere on this machine.

Looks where `data/fetch.py` looks, but reads and downloads nothing. Standard library only.
"""

from collections.abc import Iterable
from pathlib import Path

from pipeline_src.data.archives import ARCHIVES_TABLE, RemoteFile, load_archives
from pipeline_src.data.mirrors import is_http, local_path, mirror_candidates
from pipeline_src.errors import InputError


def missing_logins(
    names: Iterable[str], mirror: str | Path | None = None, table: str | Path = ARCHIVES_TABLE
) -> list[RemoteFile]:
    """Rows of those archives that a fetch would refuse to bring without its user's help, in order.

    An archive is there when it was fetched before (`data/archives/<name>.json`), when its file lies in
    the table's folder (`data/archives/`, where `dvc pull` puts it too) or in the `mirror` folder. It may be
    there when an http mirror can be asked for it: such archives are not in the result either.
    `login` of a row says what the user has to do. What lies there is not verified here; fetching does.

    Raises `InputError` for a name that the table does not have, and for a mirror folder that is not there.
    """
    rows = load_archives(table)
    folder = Path(table).with_suffix("")
    found = []
    for name in dict.fromkeys(names):
        if name not in rows:
            raise InputError(f"archive {name!r} is not in {table}; use {', '.join(rows)}")
        row = rows[name]
        if row.login is not None and not _obtainable(row, folder, mirror):
            found.append(row)
    return found


def _obtainable(row: RemoteFile, folder: Path, mirror: str | Path | None) -> bool:
    target = folder / row.file
    if (folder / f"{row.name}.json").is_file() or target.is_file():
        return True
    return any(is_http(place) or local_path(place).is_file() for place in mirror_candidates(row, mirror))
