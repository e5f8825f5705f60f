"""Every measured value of a study as one line: the long table that everything else is made from.

`experiments.csv` (study, table, row, run, seed, metric, value, unit) holds what is the same on
every machine. Times, memory and device facts stand apart in `experiments_timed.csv`, which has the
column `device` besides. A cost belongs to an architecture: its `run` is the architecture's name and
its `seed` is empty. Scores are in percent, as the papers print them.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import read_json, write_text
from pipeline_src.reporting.rows import Row, pair_inputs

COLUMNS = ("study", "table", "row", "run", "seed", "metric", "value", "unit")
TIMED_COLUMNS = (*COLUMNS, "device")

SCORES = (
    "miou", "pixel_accuracy", "mean_accuracy", "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large", "voc_ap", "voc_ap_area",
)  # fmt: skip
"""Fractions of metrics.json that become percent; a task has some of them."""

Place = tuple[tuple[str | int, ...], str]
"""Where a value stands in a file (keys and positions), and its unit."""

COSTS: dict[str, Place] = {
    "parameters": (("parameters",), "1"),
    "flops": (("flops",), "FLOP"),
    "saved_bytes": (("saved_bytes",), "byte"),
}
"""Metrics from cost.json, which is the same on every machine."""

TIMED: dict[str, Place] = {
    "peak_memory": (("peak_memory",), "byte"),
    "latency": (("latency",), "s"),
    "latency_lower_quartile": (("latency_quartiles", 0), "s"),
    "latency_upper_quartile": (("latency_quartiles", 1), "s"),
    "step_time": (("step_time",), "s"),
}
"""Metrics from timing.json, which differs from machine to machine."""

Record = dict[str, Any]


def score_records(study: str, tables: list[str], rows: list[Row], metrics: list[str]) -> list[Record]:
    """One record for every table, run and score; `metrics` are the runs' metrics.json files."""
    records = []
    for row, run, path in pair_inputs(rows, metrics, "metrics"):
        values = _scores(path)
        for table in tables:
            head = {"study": study, "table": table, "row": row.name, "run": run.name, "seed": run.seed}
            records += [{**head, "metric": metric, "value": value, "unit": "%"} for metric, value in values]
    return records


def cost_records(
    study: str,
    tables: list[str],
    rows: list[Row],
    costs: Mapping[str, str],
    metrics: Mapping[str, Place],
) -> list[Record]:
    """One record for every table, row and cost named in `metrics` (`COSTS` or `TIMED`).

    `costs` maps an architecture to its cost.json or timing.json; a value that was not measured
    (null, such as GPU memory on a CPU) makes no record, one that is not in the file is an
    `InputError`.
    """
    records = []
    for row in rows:
        if row.architecture is None or row.architecture not in costs:
            continue
        path = costs[row.architecture]
        measured = read_json(path)
        device = describe_device(measured.get("device"))
        for table in tables:
            head = {"study": study, "table": table, "row": row.name, "run": row.architecture, "seed": ""}
            for metric, (place, unit) in metrics.items():
                value = _at(measured, place, path)
                if value is not None:
                    value = _finite(value, path, metric)
                    records.append({**head, "metric": metric, "value": value, "unit": unit, "device": device})
    return records


def write_records(path: str | Path, records: Iterable[Record], columns: tuple[str, ...] = COLUMNS) -> None:
    """Write records as CSV with exact numbers (a float is read back as the same float)."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({**record, "value": repr(record["value"])})
    write_text(path, buffer.getvalue())


def read_records(path: str | Path, columns: tuple[str, ...] = COLUMNS) -> list[Record]:
    """Read what `write_records` wrote; `value` as a float, `seed` as an integer or None.

    Raises `InputError` for other columns or a value that is no number.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != columns:
                raise InputError(f"{path}: columns are {reader.fieldnames}, expected {list(columns)}")
            return [
                {
                    **line,
                    "value": _finite(line["value"], path, line["metric"]),
                    "seed": int(line["seed"]) if line["seed"] else None,
                }
                for line in reader
            ]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None


def concatenate(paths: list[str], target: str | Path, columns: tuple[str, ...] = COLUMNS) -> None:
    """Write the lines of several such files, in order, under one heading, unchanged."""
    heading = ",".join(columns) + "\n"
    parts = []
    for path in paths:
        text = Path(path).read_text(encoding="utf-8")
        if not text.startswith(heading):
            raise InputError(f"{path}: does not begin with {heading.strip()}")
        parts.append(text.removeprefix(heading))
    write_text(target, heading + "".join(parts))


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


def _at(value: Any, place: tuple[str | int, ...], path: str) -> Any:
    try:
        for key in place:
            value = value[key]
    except (KeyError, IndexError, TypeError):
        raise InputError(f"{path}: has no {'.'.join(map(str, place))}") from None
    return value


def _scores(path: str) -> list[tuple[str, float]]:
    metrics = read_json(path)
    values = [(metric, metrics.get(metric)) for metric in SCORES]
    for name, value in metrics.get("per_class", {}).items():
        own = {"iou": value} if not isinstance(value, dict) else value
        values += [(f"{metric}/{name}", one) for metric, one in own.items()]
    return [(metric, 100 * _finite(value, path, metric)) for metric, value in values if value is not None]


def _finite(value: Any, path: str | Path, metric: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: {metric} is {value!r}, expected a number")
    return number
