"""The gap of the mask AP between train and val by row: what a row learned by heart.

DeepFuse claims to prevent overfitting and prints no number for it.
"""

from typing import Any

from matplotlib.figure import Figure

from pipeline_src.reporting.baseline_answers import COLLAPSED
from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.figures.drawing import COLOURS, GREY, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.long_table import first_table, read_tidy
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.table import ScoreCell

RECORD = ["row", "val", "train", "gap", "sd", "n", "difference", "low", "high", "collapsed"]
NOTES = (
    "Gap: mask AP on a fixed part of train, as large as val, less that on val, both without augmentation. "
    "Whiskers of the gap: standard deviation over seeds; of differences: their 95 % interval over the seeds "
    "that both rows have.",
)
COLLAPSED_NOTE = "A row that collapsed finds nothing in a run of it or of its baseline: its gap says nothing."


class Gap(FigureKind):
    """`gap`: the gap of the mask AP between train and val."""

    reads = ("experiments",)
    tasks = ("instances",)

    @staticmethod
    def metrics(options: Any, task: str) -> list[str]:
        """The mask AP and its gap."""
        return ["mask_ap", "mask_ap_gap"]

    @staticmethod
    def draw(params: DrawFigure, options: Any, inputs: Inputs) -> Drawing:
        """A bar from val to train for each row; beside it the paired difference of gaps from the baseline."""
        measured = first_table(read_tidy(inputs["experiments"]))
        comparison = Comparison(
            params.rows, measured, params.paper, params.scale, params.rules, params.split, controls={}
        )
        table = comparison.table(["mask_ap", "mask_ap_gap"])
        records = []
        for row in table.rows:
            val, gap = (row.cells[name] for name in ("mask_ap", "mask_ap_gap"))
            if not isinstance(val, ScoreCell) or not isinstance(gap, ScoreCell):
                continue
            collapsed = val.mean == 0 or (gap.answer is not None and gap.answer.verdict == COLLAPSED)
            low, high = (None if collapsed else gap.gain_interval) or (None, None)
            records.append(
                {
                    "row": row.row, "val": val.mean, "train": _sum(val.mean, gap.mean),
                    "gap": gap.mean, "sd": gap.sd, "n": gap.n,
                    "difference": None if collapsed else gap.gain, "low": low, "high": high,
                    "collapsed": collapsed,
                }
            )  # fmt: skip
        more = (COLLAPSED_NOTE,) if any(record["collapsed"] for record in records) else ()
        return Drawing(_figure(records), frame_of(records, RECORD), (*NOTES, *more))


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _label(record: dict[str, Any]) -> str:
    return f"{record['row']} (collapsed)" if record["collapsed"] else record["row"]


def _figure(records: list[dict[str, Any]]) -> Figure:
    figure = Figure(figsize=(7.0, 1.2 + 0.35 * max(1, len(records))))
    scores, differences = figure.subplots(1, 2, sharey=True)
    places = range(len(records))
    for place, record in enumerate(records):
        if record["gap"] is None:
            continue
        scores.barh(place, record["gap"], left=record["val"], height=0.5, xerr=record["sd"], color=COLOURS[0])
        scores.plot(record["val"], place, "o", color="black", markersize=4)
        if record["difference"] is not None:
            low, high = record["low"], record["high"]
            if low is not None and high is not None:
                differences.plot([low, high], [place, place], color=COLOURS[1])
            differences.plot(record["difference"], place, "o", color=COLOURS[1], markersize=4)
    differences.axvline(0, color=GREY, linewidth=0.8)
    scores.set_yticks(list(places), [_label(record) for record in records], fontsize="small")
    scores.invert_yaxis()
    scores.set_title("mask AP (%): val (dot) to train", fontsize="small")
    differences.set_title("gap, difference from baseline (points)", fontsize="small")
    return figure
