"""Training loss and validation score over the steps of every run.

A line is the mean over the seeds of a row, the band around it reaches from the lowest to the highest
seed; the CSV holds every run. Losses are means over windows of steps,
at most `WINDOWS` of them, since the loss of single batches hides its own course.
"""

import math
from dataclasses import dataclass
from statistics import fmean

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipeline_src.errors import InputError
from pipeline_src.options import option
from pipeline_src.reporting.figures.drawing import GREY, Drawing, series_style
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.long_table import read_csv
from pipeline_src.reporting.metric_table import headlines, metric_named
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.row_params import RowRun, TableRow, pair_inputs

RECORD = ["panel", "row", "run", "seed", "step", "value"]
WINDOWS = 60


class Curves(FigureKind):
    """`curves`: loss and validation over training."""

    @dataclass(frozen=True)
    class Options:
        """Loss and validation over training."""

        score: str | None = option(None, "The metric of the validation; null: the first of its task.")

    reads = ("log", "curve")

    @staticmethod
    def metrics(options: "Curves.Options", task: str) -> list[str]:
        """The score of the validation."""
        return [options.score or headlines(task)[0].name]

    @staticmethod
    def draw(params: DrawFigure, options: "Curves.Options", inputs: Inputs) -> Drawing:
        """Two panels: training loss, and the validation score in percent."""
        rows = params.rows
        metric = metric_named(*Curves.metrics(options, params.task))
        parts = []
        for row, run, path in pair_inputs(rows, inputs["log"], "log"):
            parts.append(_of_run("training loss", row, run, smoothed(_read(path, "loss"))))
        for row, run, path in pair_inputs(rows, inputs["curve"], "curve"):
            points = _read(path, "value", metric=metric.name)
            points["value"] *= metric.sources[0].factor
            parts.append(_of_run("validation", row, run, points))
        lines = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=RECORD)

        figure = Figure(figsize=(7.0, 2.9))
        loss, validation = figure.subplots(1, 2, sharex=True)
        shown = [row for row in rows if row.name in set(lines["row"])]
        styles = {row.name: series_style(number) for number, row in enumerate(shown)}
        _draw_lines(loss, lines[lines["panel"] == "training loss"], styles)
        _draw_lines(validation, lines[lines["panel"] == "validation"], styles)
        loss.set_title("Training loss")
        loss.set_ylabel("training loss")
        validation.set_title(f"Validation {metric.header}")
        validation.set_ylabel(f"{metric.header} ({metric.sources[0].unit})")
        if shown:
            handles = [Line2D([], [], label=row.name, **styles[row.name]) for row in shown]  # type: ignore[arg-type]
            figure.legend(handles=handles, loc="outside right upper", title=f"scale {params.scale.name}")
        note = "Lines are means over the seeds of a row, bands reach from its lowest to its highest seed."
        return Drawing(figure, lines, (note,))


def smoothed(points: pd.DataFrame, windows: int = WINDOWS) -> pd.DataFrame:
    """Means over consecutive windows of equal length (the last may be shorter), at their last steps.

    There are at most `windows` of them. Short trainings get windows of up to five steps, so that
    something is averaged there too. `points` have the columns `step` and `value`.
    """
    size = max(math.ceil(len(points) / windows), min(5, math.ceil(len(points) / 10)), 1)
    window = [place // size for place in range(len(points))]
    return points.groupby(window).agg({"step": "last", "value": fmean})


def _read(path: str, column: str, metric: str | None = None) -> pd.DataFrame:
    """Step and value of the lines of a log or curve file; of one metric only, where that is given."""
    lines = read_csv(path, ("step", column, *(() if metric is None else ("metric",))))
    if metric is not None:
        lines = lines[lines["metric"] == metric]
    try:
        return pd.DataFrame({"step": lines["step"].astype(int), "value": lines[column].astype(float)})
    except ValueError as error:
        raise InputError(f"{path}: not a table of steps with a column {column!r} ({error})") from None


def _of_run(panel: str, row: TableRow, run: RowRun, points: pd.DataFrame) -> pd.DataFrame:
    return points.assign(panel=panel, row=row.name, run=run.name, seed=run.seed)[RECORD]


def _draw_lines(axes: Axes, lines: pd.DataFrame, styles: dict[str, dict[str, str]]) -> None:
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if lines.empty:
        axes.text(0.5, 0.5, "nothing recorded", transform=axes.transAxes, ha="center", color=GREY)
        return
    for row in lines["row"].unique():
        own = lines[lines["row"] == row]
        seeds = own.groupby("step")["value"].agg([fmean, "min", "max", "size"])
        marker = "o" if len(seeds) <= 12 else None
        axes.plot(seeds.index, seeds["fmean"], marker=marker, markersize=3.5, **styles[row])  # type: ignore[arg-type]
        if (seeds["size"] > 1).any():
            colour = styles[row]["color"]
            axes.fill_between(seeds.index, seeds["min"], seeds["max"], color=colour, alpha=0.15, linewidth=0)
