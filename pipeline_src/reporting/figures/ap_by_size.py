"""AP by object size: small, medium and large objects of every row, and differences from the baseline row.

IPG-Net argues with small objects; the paper prints such columns and draws none.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.figures.drawing import COLOURS, GREY, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.long_table import first_table, read_tidy
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.table import Line, ScoreCell

SIZES = {"ap_small": "small", "ap_medium": "medium", "ap_large": "large"}
RECORD = ["row", "size", "ap", "sd", "n", "difference", "low", "high"]
NOTES = (
    "Small objects are below 32x32 pixels of area, large ones above 96x96, both in the original image. "
    "Whiskers: standard deviation over seeds; of differences, their 95 % interval over the seeds that "
    "both rows have.",
    "A bar without height is an AP of 0.",
)
WIDTH = 0.8


class ApBySize(FigureKind):
    """`ap_by_size`: AP of small, medium and large objects."""

    reads = ("experiments",)
    tasks = ("detection", "instances")

    @staticmethod
    def draw(params: DrawFigure, options: Any, inputs: Inputs) -> Drawing:
        """Bars of AP by size, a colour per row; beside them paired differences with their interval."""
        measured = first_table(read_tidy(inputs["experiments"]))
        comparison = Comparison(params.rows, measured, params.paper, params.scale, params.rules, params.split)
        table = comparison.table(list(SIZES))
        records = [_record(row, key) for row in table.rows for key in SIZES]
        labels = [row.row for row in table.rows]
        compared = [row.row for row in table.rows if not row.is_baseline]

        figure = Figure(figsize=(7.0, 2.9))
        values, differences = figure.subplots(1, 2)
        _bars(values, records, labels, labels, "ap")
        _bars(differences, records, compared, labels, "difference")
        differences.axhline(0, color=GREY, linewidth=0.8)
        for axes in (values, differences):
            axes.set_xlim(-0.5, len(SIZES) - 0.5)
        if values.get_ylim()[0] <= 0 and not any(record["ap"] for record in records):
            values.set_ylim(0, 1)
        for place, size in enumerate(SIZES.values()):
            if all(record["ap"] is None for record in records if record["size"] == size):
                values.text(place, 0, "no objects", ha="center", va="bottom", color=GREY, fontsize="small")
        values.set_title("AP (%)")
        differences.set_title("Difference from baseline (points)")
        handles, names = values.get_legend_handles_labels()
        if names:
            figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
        return Drawing(figure, frame_of(records, RECORD), NOTES)


def _record(row: Line, key: str) -> dict[str, Any]:
    cell = row.cells[key]
    assert isinstance(cell, ScoreCell)
    low, high = cell.gain_interval or (None, None)
    return {
        "row": row.row,
        "size": SIZES[key],
        "ap": cell.mean,
        "sd": cell.sd,
        "n": cell.n,
        "difference": cell.gain,
        "low": low,
        "high": high,
    }


def _bars(axes: Axes, records: list[dict[str, Any]], shown: list[str], rows: list[str], key: str) -> None:
    width = WIDTH / max(1, len(shown))
    for number, label in enumerate(shown):
        for place, size in enumerate(SIZES.values()):
            record = next(one for one in records if (one["row"], one["size"]) == (label, size))
            if record[key] is None:
                continue
            x = place - WIDTH / 2 + (number + 0.5) * width
            colour = COLOURS[rows.index(label) % len(COLOURS)]
            named = {} if place else {"label": label}
            axes.bar(x, record[key], width, color=colour, **named)  # type: ignore[arg-type]
            ends = _ends(record, key)
            if ends is not None:
                axes.plot([x, x], ends, color="#262626", linewidth=1)
    axes.set_xticks(range(len(SIZES)), list(SIZES.values()))
    axes.grid(False, axis="x")


def _ends(record: dict[str, Any], key: str) -> tuple[float, float] | None:
    if key == "ap":
        return None if record["sd"] is None else (record["ap"] - record["sd"], record["ap"] + record["sd"])
    return None if record["low"] is None else (record["low"], record["high"])
