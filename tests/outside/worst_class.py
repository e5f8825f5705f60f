"""What the package lacks: the worst class and the last loss as metrics, a bar for every row as a figure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from pipeline_src.options import option
from pipeline_src.reporting.figures.drawing import Drawing
from pipeline_src.reporting.figures.figure_kind import FigureKind
from pipeline_src.reporting.long_table import first_table, read_tidy
from pipeline_src.reporting.metric import Metric, Source
from pipeline_src.reporting.report_params import DrawFigure


def worst(path: str) -> float:
    """The smallest IoU of a metrics.json."""
    with open(path) as file:
        return min(value for value in json.load(file)["per_class"].values() if value is not None)


def last_loss(path: str) -> float:
    """The last cell of a log.csv."""
    with open(path) as file:
        return float(file.read().split()[-1].split(",")[-1])


IOU = Source("worst", "metrics", meaning="IoU of the worst class", factor=100, compute=worst)
LOSS = Source("last_loss", "log", (), "loss of the last step", "1", "1", compute=last_loss)
WORST = Metric("worst", "worst class", (IOU,), "higher", tasks=("segmentation",))
LAST_LOSS = Metric("last_loss", "last loss", (LOSS,), "lower")
SIZE = Source("batch", "cost", ("batch",), "images of a step", "1", "1", digits=0)
BATCH = Metric("batch", "batch", (SIZE,), "lower")


class Bars(FigureKind):
    """`bars`: a bar for every row."""

    @dataclass(frozen=True)
    class Options:
        """A bar for every row."""

        score: str = option("miou", "The metric.")

    reads = ("experiments",)

    @staticmethod
    def metrics(options: Any, task: str) -> list[str]:
        """The one that it shows."""
        return [options.score]

    @staticmethod
    def draw(params: DrawFigure, options: Any, inputs: Mapping[str, Any]) -> Drawing:
        """Means over seeds."""
        measured = first_table(read_tidy(inputs["experiments"]))
        means = measured[measured["metric"] == options.score].groupby("row", sort=False)["value"].mean()
        figure = Figure(figsize=(7.0, 2.0))
        figure.subplots().bar(list(means.index), list(means))
        return Drawing(figure, means.reset_index())
