"""Scale of the gradient of every branch's group of fusion weights (Scale Equalization, Proposition 3.1).

Root mean squares, relative to their geometric mean over the branches of the same concatenation in the
same network, so that networks whose losses differ in scale can be compared: 1 everywhere is equilibrium.
"""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from pipeline_src.calibration.probed_forms import PROBED_FORMS
from pipeline_src.reporting.figures.drawing import COLOURS, GREY, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.figures.probe_panels import Panel, grid_of, read_panels, sample_note
from pipeline_src.reporting.report_params import DrawFigure

RECORD = [
    "row", "concatenation", "branch", "form", "gradient", "relative_gradient", "weight", "relative_weight",
    "upsampled_std",
]  # fmt: skip
STYLES: dict[str, tuple[str, float, dict[str, Any]]] = {
    "plain": ("plain", -0.2, {"marker": "o", "markersize": 4, "color": COLOURS[1]}),
    "module": ("module", 0.0, {"marker": "D", "markersize": 4, "color": COLOURS[2]}),
    "folded": (
        "folded",
        0.2,
        {"marker": "s", "markersize": 4.5, "markerfacecolor": "white", "color": COLOURS[0]},
    ),
}
"""Label, offset from the branch's place, and marker, by `PROBED_FORMS`."""
NOTES = (
    "Gradients of the decoder's loss with respect to each branch's group of fusion weights, as root mean "
    "squares, relative to their geometric mean over the branches of the same network; equilibrium is 1.",
    "Folding does not change that a gradient is proportional to the raw feature's scale: dL/dW of a "
    "folded network is that of an unequalised feature. Only its forward pass at the start is that of a "
    "network with modules (up to padded borders), whose gradients are those of equalised features.",
    "Equal scales of the features alone do not make the gradients equal: these also depend on how the "
    "values of a branch vary together over positions.",
)


class GradientScales(FigureKind):
    """`gradient_scales`: scale of the gradient of each branch's fusion weights at the start of training."""

    reads = ("probe",)

    @staticmethod
    def draw(params: DrawFigure, options: Any, inputs: Inputs) -> Drawing:
        """A small panel per row (and concatenation), three markers per branch."""
        panels = read_panels(params, inputs, ("gradient", "weight", "upsampled_std"))
        records = [record for panel in panels for record in _records(panel)]
        figure = grid_of(panels, _draw, "gradient, relative to the geometric mean")
        shown = [record["relative_gradient"] for record in records if record["relative_gradient"]]
        if shown:
            _logarithmic(figure, shown)
            handles = [
                Line2D([], [], linestyle="none", label=label, **style) for label, _, style in STYLES.values()
            ]
            figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        notes = (sample_note(panels), *NOTES)
        return Drawing(figure, frame_of(records, RECORD), notes)


def relative(values: list[float]) -> list[float | None]:
    """`values` over their geometric mean; None for a value that is not positive, which it leaves out."""
    logarithms = [math.log(value) for value in values if value > 0]
    if not logarithms:
        return [None for _ in values]
    mean = math.exp(math.fsum(logarithms) / len(logarithms))
    return [value / mean if value > 0 else None for value in values]


def _records(panel: Panel) -> list[dict[str, Any]]:
    records = []
    for form in PROBED_FORMS:
        gradients = [branch["gradient"][form] for branch in panel.branches]
        weights = [branch["weight"][form] for branch in panel.branches]
        lines = zip(panel.branches, gradients, relative(gradients), weights, relative(weights), strict=True)
        for branch, *values in lines:
            keys = ("gradient", "relative_gradient", "weight", "relative_weight")
            records.append(
                {
                    "row": panel.row,
                    "concatenation": panel.concatenation,
                    "branch": branch["branch"],
                    "form": form,
                    **dict(zip(keys, values, strict=True)),
                    "upsampled_std": branch["upsampled_std"],
                }
            )
    return records


def _draw(axes: Axes, panel: Panel) -> None:
    axes.axhline(1, color=GREY, linewidth=0.8, zorder=0.5)
    for form, (_, offset, style) in STYLES.items():
        values = relative([branch["gradient"][form] for branch in panel.branches])
        points = [(place + offset, value) for place, value in enumerate(values) if value is not None]
        for place, value in points:
            axes.plot([place, place], [1, value], color=style["color"], linewidth=1)
        axes.plot([x for x, _ in points], [y for _, y in points], linestyle="none", **style)


def _logarithmic(figure: Figure, values: list[float]) -> None:
    """A logarithmic axis, common to all panels, with few plain numbers on it."""
    axes = figure.axes[0]
    reach = 1.25 * max(*values, *(1 / value for value in values), 1.2)
    axes.set_yscale("log")
    axes.set_ylim(1 / reach, reach)
    steps = [1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000]
    inside = [step for step in steps if step <= reach]
    chosen = inside if len(inside) <= 3 else [inside[len(inside) // 2], inside[-1]]
    ticks = sorted({1.0, *chosen, *(1 / step for step in chosen)})
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
