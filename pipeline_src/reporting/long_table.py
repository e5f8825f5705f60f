"""Every measured value of a study as one line: the long table that everything else is made from.

`experiments.csv` (study, table, row, run, seed, metric, value, unit) holds what is the same on
every machine. Times, memory and device facts stand apart in `experiments_timed.csv`, which has the
column `device` besides. A cost belongs to an architecture: its `run` is the architecture's name and
its `seed` is empty. Which numbers there are says `metric.py`; scores of a class are called
`<metric>/<class>`.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_src.components import load
from pipeline_src.errors import InputError
from pipeline_src.files import read_json, write_text
from pipeline_src.reporting.metric import ResultFile, Source, fraction
from pipeline_src.reporting.metric_table import sources_in
from pipeline_src.reporting.report_params import Tabulate
from pipeline_src.reporting.row_params import pair_inputs, runs_with_results

COLUMNS = ["study", "table", "row", "run", "seed", "metric", "value", "unit"]
TIMED_COLUMNS = [*COLUMNS, "device"]


def tidy_scores(params: Tabulate, files: Mapping[str, list[str]]) -> pd.DataFrame:
    """One line for every run, table and score.

    `files` are the runs' result files by kind: metrics.json, and what else metrics of the user's own read.
    """
    own = [load(f"metric.{name}") for name in params.own_metrics]
    found: dict[tuple[str, str], list[tuple[str, float, str]]] = {}
    for kind, paths in files.items():
        for row, run, path in pair_inputs(params.rows, paths, kind):
            values = _scores(path) if kind == "metrics" else []
            values += _values(sources_in(kind, own), path)  # type: ignore[arg-type]
            found.setdefault((row.name, run.name), []).extend(values)
    lines = []
    for row, run in runs_with_results(params.rows):
        for table in params.tables or [""]:
            head = (params.study, table, row.name, run.name, run.seed)
            lines += [(*head, *value) for value in found[row.name, run.name]]
    return _frame(lines, COLUMNS)


def tidy_costs(params: Tabulate, files: list[str], kind: ResultFile) -> pd.DataFrame:
    """One line for every row, table and number that files of this `kind` hold.

    `files` are the cost.json or timing.json of every architecture; a value that was not measured
    (null, such as GPU memory on a CPU) makes no line, one that is not in the file is an
    `InputError`.
    """
    if len(params.architectures) != len(files):
        raise InputError(
            f"inputs.{kind}: has {len(files)} files for {len(params.architectures)} architectures"
        )
    own = [load(f"metric.{name}") for name in params.own_metrics]
    path_of = dict(zip(params.architectures, files, strict=True))
    lines = []
    for row in params.rows:
        if row.architecture is None:
            continue
        path = path_of[row.architecture]
        device = describe_device(read_json(path).get("device"))
        values = _values(sources_in(kind), path) + _values(sources_in(kind, own), path)
        for table in params.tables or [""]:
            head = (params.study, table, row.name, row.architecture, None)
            lines += [(*head, *value, device) for value in values]
    return _frame(lines, TIMED_COLUMNS)


def write_tidy(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV with exact numbers (a float is read back as the same float)."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_tidy(paths: str | Path | Iterable[str | Path], columns: list[str] = COLUMNS) -> pd.DataFrame:
    """The lines of one file or of several, in order, as `write_tidy` wrote them.

    Raises `InputError` for a file that is not there or not such a table, for other columns and for a value
    that is no number.
    """
    if isinstance(paths, str | Path):
        return _read_one(paths, columns)
    return pd.concat([_read_one(path, columns) for path in paths], ignore_index=True)


def read_study(experiments: str | Path, timed: str | Path) -> pd.DataFrame:
    """Both long tables of a study in one; `device` is empty where it does not matter."""
    return pd.concat([read_tidy(experiments), read_tidy(timed, TIMED_COLUMNS)], ignore_index=True)


def first_table(measured: pd.DataFrame) -> pd.DataFrame:
    """The lines of the first table only: a study with two tables has every line for both."""
    return measured[measured["table"] == measured["table"].iloc[0]] if len(measured) else measured


def read_csv(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """A CSV file, every cell as text; an `InputError` where it is not there, damaged, or lacks a column."""
    try:
        with warnings.catch_warnings():
            # a line with too many cells is a mere warning, and loses them
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (
        pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError,
    ) as error:  # fmt: skip
        raise InputError(f"{path}: not a table ({' '.join(str(error).split())})") from None
    if missing := [column for column in columns if column not in frame]:
        raise InputError(f"{path}: has no column {missing[0]!r}; it has {', '.join(frame.columns)}")
    return frame


def describe_device(device: Any) -> str:
    """A device in one phrase, from what a sidecar or timing.json says of it."""
    if not isinstance(device, dict):
        return str(device or "")
    facts = [str(device.get("name", ""))]
    threads = device.get("threads")
    if threads and facts[0].startswith("cpu"):
        facts.append("1 thread" if threads == 1 else f"{threads} threads")
    if device.get("torch"):
        facts.append(f"torch {device['torch']}")
    return ", ".join(facts)


def _frame(lines: list[tuple[Any, ...]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=columns).astype({"seed": "Int64", "value": float})


def _read_one(path: str | Path, columns: list[str]) -> pd.DataFrame:
    frame = read_csv(path)
    if list(frame) != columns:
        raise InputError(f"{path}: columns are {list(frame)}, expected {columns}")
    values = pd.to_numeric(frame["value"], errors="coerce")
    if len(wrong := frame[~np.isfinite(values)]):
        metric, value = wrong.iloc[0][["metric", "value"]]
        raise InputError(f"{path}: {metric} is {value!r}, expected a number")
    if len(wrong := frame["seed"][~frame["seed"].str.fullmatch("[0-9]*")]):
        raise InputError(f"{path}: seed is {wrong.iloc[0]!r}, expected a whole number or nothing")
    # `astype` rounds a decimal number correctly, `to_numeric` need not
    return frame.assign(
        value=frame["value"].astype(float), seed=frame["seed"].replace("", None).astype("Int64")
    )


def _scores(path: str) -> list[tuple[str, float, str]]:
    """Name, value and unit of every score of a run that is defined, then of every class."""
    metrics = read_json(path)
    # a task has some of the scores
    sources = [source for source in sources_in("metrics") if source.keys[0] in metrics]
    for name, value in metrics.get("per_class", {}).items():
        # a mask has one score per class, boxes have several
        several = isinstance(value, dict)
        for metric in value if several else ["iou"]:
            keys = ("per_class", name, *([metric] if several else []))
            sources.append(replace(fraction(f"{metric}/{name}"), keys=keys))
    return _values(sources, path)


def _values(sources: list[Source], path: str) -> list[tuple[str, float, str]]:
    """Name, value and unit of every number of a file that is defined."""
    content = read_json(path) if any(source.compute is None for source in sources) else None
    found = []
    for source in sources:
        value = _at(content, source.keys, path) if source.compute is None else source.compute(path)
        if value is not None:
            found.append((source.name, _stored(value, source, path), source.stored_unit))
    return found


def _at(value: Any, keys: tuple[str | int, ...], path: str) -> Any:
    try:
        for key in keys:
            value = value[key]
    except (KeyError, IndexError, TypeError):
        raise InputError(f"{path}: has no {'.'.join(map(str, keys))}") from None
    return value


def _stored(value: Any, source: Source, path: str) -> float:
    """A number of a file in the long table's unit."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: {source.name} is {value!r}, expected a number")
    return source.factor * number
