"""Training loss and validation score over the steps of every run.

    params   {"rows", "row_header", "scale"} as for step `table`; "score": "miou", optional
    inputs   {"log": [log.csv of every run], "curve": [curve.csv of every run]}

A line is the mean over the seeds of a row, the band around it reaches from the lowest to the highest
seed; the CSV holds every run. Losses are means over windows of steps,
at most `WINDOWS` of them, since the loss of single batches hides its own course.
"""

import csv
import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipeline_src.errors import InputError
from pipeline_src.reporting.columns import COLUMNS
from pipeline_src.reporting.figures.drawing import GREY, Drawing, look
from pipeline_src.reporting.rows import Row, Run, pair_inputs, parse_rows

RECORD = ["panel", "row", "run", "seed", "step", "value"]
WINDOWS = 60


def draw_curves(params: dict[str, Any], inputs: dict[str, Any]) -> Drawing:
    """Two panels: training loss, and the validation score in percent."""
    rows = parse_rows(params)
    score = params.get("score", "miou")
    records: list[dict[str, Any]] = []
    for row, run, path in pair_inputs(rows, inputs["log"], "log"):
        records += _records("training loss", row, run, smoothed(_read(path, "loss")))
    for row, run, path in pair_inputs(rows, inputs["curve"], "curve"):
        points = [(step, 100 * value) for step, value in _read(path, "value", metric=score)]
        records += _records("validation", row, run, points)

    figure = Figure(figsize=(7.0, 2.9))
    loss, validation = figure.subplots(1, 2, sharex=True)
    shown = [row for row in rows if any(record["row"] == row.name for record in records)]
    looks = {row.name: look(number) for number, row in enumerate(shown)}
    _draw_lines(loss, records, "training loss", looks)
    _draw_lines(validation, records, "validation", looks)
    loss.set_title("Training loss")
    loss.set_ylabel("training loss")
    validation.set_title(f"Validation {COLUMNS[score].header}")
    validation.set_ylabel(f"{COLUMNS[score].header} (%)")
    if shown:
        handles = [Line2D([], [], label=row.name, **looks[row.name]) for row in shown]  # type: ignore[arg-type]
        figure.legend(handles=handles, loc="outside right upper", title=f"scale {params['scale']['name']}")
    note = "Lines are means over the seeds of a row, bands reach from its lowest to its highest seed."
    return Drawing(figure, RECORD, records, (note,))


def smoothed(values: list[tuple[int, float]], windows: int = WINDOWS) -> list[tuple[int, float]]:
    """Means over consecutive windows of equal length (the last may be shorter), at their last steps.

    There are at most `windows` of them. Short trainings get windows of up to five steps, so that
    something is averaged there too.
    """
    size = max(math.ceil(len(values) / windows), min(5, math.ceil(len(values) / 10)), 1)
    parts = [values[start : start + size] for start in range(0, len(values), size)]
    return [(part[-1][0], math.fsum(value for _, value in part) / len(part)) for part in parts]


def _read(path: str, column: str, metric: str | None = None) -> list[tuple[int, float]]:
    """(step, value) of the lines of a log or curve file; of one metric only, where that is given."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = [line for line in csv.DictReader(file) if metric is None or line["metric"] == metric]
            return [(int(line["step"]), float(line[column])) for line in lines]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a table of steps with a column {column!r} ({error})") from None


def _records(panel: str, row: Row, run: Run, points: list[tuple[int, float]]) -> list[dict[str, Any]]:
    head = {"panel": panel, "row": row.name, "run": run.name, "seed": run.seed}
    return [{**head, "step": step, "value": value} for step, value in points]


def _draw_lines(
    axes: Axes, records: list[dict[str, Any]], panel: str, looks: dict[str, dict[str, str]]
) -> None:
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    own = [record for record in records if record["panel"] == panel]
    if not own:
        axes.text(0.5, 0.5, "nothing recorded", transform=axes.transAxes, ha="center", color=GREY)
        return
    by_row: dict[str, dict[int, list[float]]] = {}
    for record in own:
        by_row.setdefault(record["row"], {}).setdefault(record["step"], []).append(record["value"])
    for row, values in by_row.items():
        steps = sorted(values)
        means = [math.fsum(values[step]) / len(values[step]) for step in steps]
        marker = "o" if len(steps) <= 12 else None
        axes.plot(steps, means, marker=marker, markersize=3.5, **looks[row])  # type: ignore[arg-type]
        if any(len(values[step]) > 1 for step in steps):
            lows, highs = [min(values[step]) for step in steps], [max(values[step]) for step in steps]
            axes.fill_between(steps, lows, highs, color=looks[row]["color"], alpha=0.15, linewidth=0)
