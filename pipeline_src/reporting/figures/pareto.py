"""Accuracy against every cost, a panel each: which rows no other row beats at once in both."""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline_src.options import option
from pipeline_src.reporting.baseline_answers import COLLAPSED
from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.figures.drawing import COLOURS, GREY, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.long_table import first_table, read_study
from pipeline_src.reporting.metric_table import headlines
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.table import Column, CostCell, Values

MARKERS = "osD^vP"
RECORD = ["row", "cost", "value", "unit", "score", "low", "high", "n", "on_front", "collapsed"]
COLUMNS = 2


class Pareto(FigureKind):
    """`pareto`: accuracy against every cost, with the front."""

    @dataclass(frozen=True)
    class Options:
        """Accuracy against every cost, with the rows that no other row beats in both."""

        score: str | None = option(None, "The metric on the upright axis; null: the first of its task.")
        costs: list[str] = option(
            ["parameters", "flops", "training_memory", "testing_time"], "Costs, a panel each.", min_length=1
        )

    reads = ("experiments", "timed")

    @staticmethod
    def metrics(options: "Pareto.Options", task: str) -> list[str]:
        """The score, then the costs."""
        return [options.score or headlines(task)[0].name, *options.costs]

    @staticmethod
    def draw(params: DrawFigure, options: "Pareto.Options", inputs: Inputs) -> Drawing:
        """A point for every row with its interval over seeds, a step line along the front of each panel."""
        score, *costs = Pareto.metrics(options, params.task)
        measured = first_table(read_study(inputs["experiments"], inputs["timed"]))
        comparison = Comparison(
            params.rows, measured, params.paper, params.scale, params.rules, params.split, controls={}
        )
        table = comparison.table([score, *costs])
        columns = {column.key: column for column in table.columns}
        points = {cost: _points(table, columns[score], columns[cost]) for cost in costs}

        lines = -(-len(costs) // COLUMNS)
        entries = -(-len(table.rows) // COLUMNS)
        figure = Figure(figsize=(7.0, 2.6 * lines + 0.22 * entries + 0.2))
        grid = figure.subplots(lines, min(COLUMNS, len(costs)), squeeze=False).ravel()
        for axes, cost in zip(grid, costs):
            _draw(axes, points[cost], [row.row for row in table.rows])
            axes.set_xlabel(f"{columns[cost].header} ({columns[cost].unit})")
            axes.set_ylabel(f"{columns[score].header} ({columns[score].unit})")
        for axes in grid[len(costs) :]:
            axes.set_axis_off()
        handles: dict[str, Any] = {}
        for axes in grid[: len(costs)]:
            found = axes.get_legend_handles_labels()
            handles |= dict(zip(found[1], found[0], strict=True))
        if handles:
            figure.legend(handles.values(), handles, loc="outside lower center", ncols=COLUMNS)
        notes = [f"{columns[cost].header}: {columns[cost].meaning}." for cost in costs]
        level = f"{100 * table.confidence:g} %"
        notes.append(
            f"Bars are {level} intervals of the mean over seeds. The line joins the rows that no other row "
            "beats or equals in both; it takes the means as they are."
        )
        if any(point["collapsed"] for of_cost in points.values() for point in of_cost):
            notes.append("A cross marks a row that collapsed; it is on no front.")
        records = [point for of_cost in points.values() for point in of_cost]
        return Drawing(figure, frame_of(records, RECORD), tuple(notes))


def _points(table: Values, score: Column, cost: Column) -> list[dict[str, Any]]:
    """The rows that have both values."""
    points: list[dict[str, Any]] = []
    for row in table.rows:
        y, x = row.score(score), row.cells[cost.key]
        assert isinstance(x, CostCell)
        if y.mean is None or x.mean is None:
            continue
        low, high = y.interval or (None, None)
        points.append(
            {
                "row": row.row,
                "cost": cost.key,
                "value": x.mean,
                "unit": cost.unit,
                "score": y.mean,
                "low": low,
                "high": high,
                "n": y.n,
                "collapsed": y.answer is not None and y.answer.verdict == COLLAPSED,
            }
        )
    sign = 1 if score.better == "higher" else -1
    for point in points:
        point["on_front"] = not point["collapsed"] and not any(
            _beats(other, point, sign) for other in points if not other["collapsed"]
        )
    return points


def _beats(other: dict[str, Any], point: dict[str, Any], sign: int) -> bool:
    """Whether `other` is nowhere worse than `point`, and somewhere better."""
    gain, saved = sign * (other["score"] - point["score"]), point["value"] - other["value"]
    return bool(gain >= 0 and saved >= 0 and (gain > 0 or saved > 0))


def _draw(axes: Axes, points: list[dict[str, Any]], rows: list[str]) -> None:
    if not points:
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color=GREY)
        return
    front = sorted((point for point in points if point["on_front"]), key=lambda point: point["value"])
    axes.step(
        [point["value"] for point in front], [point["score"] for point in front], where="post", color=GREY
    )
    for point in points:
        place = rows.index(point["row"])
        below, above = (
            abs(point["score"] - limit) if limit is not None else 0 for limit in (point["low"], point["high"])
        )
        axes.errorbar(
            point["value"],
            point["score"],
            yerr=[[below], [above]],
            color=COLOURS[place % len(COLOURS)],
            marker="x" if point["collapsed"] else MARKERS[place // len(COLOURS) % len(MARKERS)],
            linestyle="none",
            elinewidth=1,
            label=point["row"],
        )
    axes.margins(x=0.12, y=0.1)
