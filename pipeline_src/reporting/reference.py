"""The papers' printed numbers and our assumptions: three tracked tables, read row by row.

`workflow/reference/paper_values.csv`: study, table, row, metric, value, unit, split, source, kind; the kind
is empty, or `difference` where a paper states how far a row is from its baseline and not the row's value.
`workflow/reference/quoted_values.csv`: table, group, row, metric, value, unit, split, source; numbers of
others that a paper prints beside its own, which nothing here makes.
`workflow/reference/assumptions.csv`: id, study, tables, text, reason, switch, default; several tables or
switches are separated by spaces, and `{study}` in a switch is the key of the study that shows it.
The planner hands each job the rows that concern it. Standard library only.
"""

import math
from pathlib import Path
from typing import Any

from pipeline_src.csv_rows import read_rows
from pipeline_src.errors import InputError
from pipeline_src.reporting.report_params import DIFFERENCE, Assumption, Printed

PAPER_COLUMNS = ("study", "table", "row", "metric", "value", "unit", "split", "source", "kind")
QUOTED_COLUMNS = ("table", "group", "row", "metric", "value", "unit", "split", "source")
ASSUMPTION_COLUMNS = ("id", "study", "tables", "text", "reason", "switch", "default")

PRINTED_KINDS = ("", DIFFERENCE)
"""What a printed number is: a value, or its difference from the baseline."""

SERVER_SPLITS = ("test", "test-dev")
"""Splits whose ground truth only the data set's server has."""


def read_paper_values(path: str | Path) -> list[dict[str, Any]]:
    """All rows of the papers' numbers; `value` as a float.

    Raises `InputError` naming the line for a missing column, a value that is no number, a kind that is none
    of `PRINTED_KINDS`, or a cell (study, table, row, metric, split, kind) that stands there twice.
    """
    rows = _values(path, PAPER_COLUMNS, ("study", "table", "row", "metric", "split", "kind"))
    for number, row in enumerate(rows, start=2):
        if row["kind"] not in PRINTED_KINDS:
            raise InputError(
                f"{path}:{number}: kind is {row['kind']!r}; leave it empty for a value, or write {DIFFERENCE}"
            )
    return rows


def read_quoted_values(path: str | Path) -> list[dict[str, Any]]:
    """All rows of the numbers that papers quote of others; `InputError` as `read_paper_values`."""
    return _values(path, QUOTED_COLUMNS, ("table", "row", "metric", "split"))


def read_assumptions(path: str | Path) -> list[dict[str, Any]]:
    """All assumptions; `tables` as a list of table names (separated by spaces in the file).

    Raises `InputError` naming the line for a missing column, an empty text or reason, or an id that
    stands there twice.
    """
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, row in read_rows(path, ASSUMPTION_COLUMNS):
        for name in ("id", "study", "text", "reason"):
            if not row[name]:
                raise InputError(f"{path}:{number}: {name} is empty")
        if row["id"] in seen:
            raise InputError(f"{path}:{number}: id {row['id']} stands there twice")
        seen.add(row["id"])
        rows.append({**row, "tables": row["tables"].split()})
    return rows


def printed_in(rows: list[dict[str, Any]], table: str) -> list[Printed]:
    """The printed (or quoted) numbers of one table, in file order."""
    return [
        Printed(**{key: value for key, value in row.items() if key not in ("study", "table")})
        for row in rows
        if row["table"] == table
    ]


def assumption_of(row: dict[str, Any]) -> Assumption:
    """An assumption without the tables that it applies to."""
    return Assumption(**{key: value for key, value in row.items() if key != "tables"})


def _values(path: str | Path, columns: tuple[str, ...], identity: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    for number, row in read_rows(path, columns):
        key = tuple(row[name] for name in identity)
        if key in seen:
            raise InputError(f"{path}:{number}: {' / '.join(key)} stands there twice")
        seen.add(key)
        rows.append({**row, "value": _number(row["value"], f"{path}:{number}: value")})
    return rows


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where} {text!r} is not a number")
    return value
