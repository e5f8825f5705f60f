"""Tables that people keep by hand as CSV: read row by row, damage named by line. Standard library only."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline_src.errors import InputError


def read_rows(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield `(line, cells)` of a table that has exactly `columns`, cells stripped of blanks.

    Raises `InputError` for a table that is not there, is not UTF-8 or not CSV (a quote that is never
    closed), has other columns, or a row with too few or too many cells.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such table") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    started = 1
    try:
        if list(reader.fieldnames or []) != list(columns):
            raise InputError(f"{path}:1: columns are {reader.fieldnames}, expected {list(columns)}")
        started = reader.line_num + 1
        for cells in reader:
            if None in cells or None in cells.values():
                raise InputError(f"{path}:{reader.line_num}: expected {len(columns)} cells")
            yield reader.line_num, {key: value.strip() for key, value in cells.items()}
            started = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{started}: not valid CSV from here on ({error})") from None
