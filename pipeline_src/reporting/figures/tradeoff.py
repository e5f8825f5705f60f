"""Accuracy against cost over the rows of a study, the paper's points below ours (DFP, Table 1).

Costs are ratios to the baseline row, so that hardware cancels. Ours and the paper's have panels of
their own, one above the other with a common cost axis: their scores may lie far apart.
"""

from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline_src.options import option
from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.figures.drawing import COLOURS, GREY, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.figures.point_labels import label_points
from pipeline_src.reporting.long_table import first_table, read_study
from pipeline_src.reporting.metric_table import headlines
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.row_params import TableRow
from pipeline_src.reporting.table import CostCell, ScoreCell, Values

RECORD = ["source", "row", "cost", "cost_ratio", "score", "score_sd", "n"]


class Tradeoff(FigureKind):
    """`tradeoff`: accuracy against cost."""

    @dataclass(frozen=True)
    class Options:
        """Accuracy against cost."""

        score: str | None = option(None, "The metric on the upright axis; null: the first of its task.")
        costs: list[str] = option(["training_memory", "testing_time"], "Costs, a column each.", min_length=1)

    reads = ("experiments", "timed")

    @staticmethod
    def metrics(options: "Tradeoff.Options", task: str) -> list[str]:
        """The score, then the costs."""
        return [options.score or headlines(task)[0].name, *options.costs]

    @staticmethod
    def draw(params: DrawFigure, options: "Tradeoff.Options", inputs: Inputs) -> Drawing:
        """One column for every cost, one line of panels for our values and one for the paper's."""
        score, *costs = Tradeoff.metrics(options, params.task)
        measured = first_table(read_study(inputs["experiments"], inputs["timed"]))
        comparison = Comparison(params.rows, measured, params.paper, params.scale, params.rules, params.split)
        table = comparison.table([score, *costs])
        points = _points(table, score, costs)
        labels, labelled_by = _short_labels(params.rows, params.row_header)
        sources = [name for name in ("ours", "paper") if any(point["source"] == name for point in points)]
        sources = sources or ["ours"]
        not_comparable = params.paper and not params.scale.comparable
        columns = {column.key: column for column in table.columns}
        titles = {
            "ours": f"Ours, scale {params.scale.name}" + (" (not comparable)" if not_comparable else ""),
            "paper": "Paper" + (f" ({split})" if (split := columns[score].paper_split) else ""),
        }

        figure = Figure(figsize=(7.0, 0.6 + 2.5 * len(sources)))
        # A common cost axis only where both may be compared: else ours could squeeze the paper's.
        shared: Literal["col", "none"] = "col" if params.scale.comparable else "none"
        grid = figure.subplots(len(sources), len(costs), sharex=shared, sharey="row", squeeze=False)
        for line, source in enumerate(sources):
            for place, cost in enumerate(costs):
                axes = grid[line][place]
                shown = [point for point in points if (point["source"], point["cost"]) == (source, cost)]
                _draw_points(axes, shown, COLOURS[0] if source == "ours" else GREY)
                axes.margins(x=0.12, y=0.2)
                if place == 0:
                    axes.set_ylabel(f"{columns[score].header} ({columns[score].unit})")
                    axes.set_title(titles[source] + (f", labelled by {labelled_by}" if labelled_by else ""))
                if line == len(sources) - 1:
                    axes.set_xlabel(f"{columns[cost].header}, ratio to the baseline row")
        # Fix limits and layout first; places of labels are found in pixels.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for line, source in enumerate(sources):
            for place, cost in enumerate(costs):
                shown = [point for point in points if (point["source"], point["cost"]) == (source, cost)]
                label_points(
                    figure,
                    grid[line][place],
                    [(point["cost_ratio"], point["score"]) for point in shown],
                    [labels[point["row"]] for point in shown],
                    "#262626",
                    [point["score_sd"] or 0 for point in shown],
                )
        notes = [f"Our {columns[cost].header}: {columns[cost].meaning}." for cost in costs]
        notes.append("Bars are one standard deviation over seeds.")
        return Drawing(figure, frame_of(points, RECORD), tuple(notes))


def _short_labels(rows: list[TableRow], header: str) -> tuple[dict[str, str], str | None]:
    """Label of every row, without the word that all begin with where that is the rows' heading."""
    prefix = f"{header} "
    if all(row.name.startswith(prefix) for row in rows):
        return {row.name: row.name.removeprefix(prefix) for row in rows}, header
    return {row.name: row.name for row in rows}, None


def _points(table: Values, score: str, costs: list[str]) -> list[dict[str, Any]]:
    """The lines of the figure's CSV: our points, then the paper's."""
    ours, theirs = [], []
    for cost in costs:
        for row in table.rows:
            y, x = row.cells[score], row.cells[cost]
            assert isinstance(y, ScoreCell) and isinstance(x, CostCell)
            here: dict[str, Any] = {"row": row.row, "cost": cost}
            if y.mean is not None and x.ratio is not None:
                of_ours = {"cost_ratio": x.ratio, "score": y.mean, "score_sd": y.sd, "n": y.n}
                ours.append({"source": "ours", **here, **of_ours})
            if y.paper is not None and x.paper_ratio is not None:
                of_paper = {"cost_ratio": x.paper_ratio, "score": y.paper, "score_sd": None, "n": None}
                theirs.append({"source": "paper", **here, **of_paper})
    return ours + theirs


def _draw_points(axes: Axes, points: list[dict[str, Any]], colour: str) -> None:
    if not points:
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color=GREY)
        return
    axes.errorbar(
        [point["cost_ratio"] for point in points],
        [point["score"] for point in points],
        yerr=[point["score_sd"] or 0 for point in points],
        color=colour,
        marker="o",
        linewidth=1,
        markeredgecolor="white",
        markeredgewidth=0.8,
        elinewidth=1,
    )
