"""Standard deviation of every branch of the equalised concatenations, at the start of training.

What Figure 3 of Scale Equalization says of random maps, on the features of each head: before upsampling,
after it, and behind the equalizer.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline_src.reporting.figures.drawing import COLOURS, GREY, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.figures.probe_panels import Panel, grid_of, read_panels, sample_note
from pipeline_src.reporting.report_params import DrawFigure

RECORD = ["row", "concatenation", "branch", "raw_std", "upsampled_std", "equalised_mean", "equalised_std"]
STYLES: dict[str, tuple[str, dict[str, Any]]] = {
    "raw_std": (
        "before upsampling",
        {"marker": "o", "markersize": 6.5, "markerfacecolor": "white", "color": COLOURS[0]},
    ),
    "upsampled_std": ("after upsampling", {"marker": "o", "markersize": 4, "color": COLOURS[1]}),
    "equalised_std": ("equalised", {"marker": "D", "markersize": 4, "color": COLOURS[2]}),
}
SPAN = 12.0
"""Above this quotient of the largest and the smallest std the axis is logarithmic."""
NOTES = (
    "Standard deviations are over all values of a branch. Before and after upsampling: in the network "
    "without equalizers; equalised: measured behind equalizers of the form module, which should give 1.",
    "A branch that is not upsampled has the same standard deviation before and after.",
)


class BranchScales(FigureKind):
    """`branch_scales`: scale of each branch of the equalised concatenations at the start of training."""

    reads = ("probe",)

    @staticmethod
    def draw(params: DrawFigure, options: Any, inputs: Inputs) -> Drawing:
        """A small panel per row (and concatenation), three markers per branch."""
        panels = read_panels(params, inputs, (*STYLES, "equalised_mean"))
        figure = grid_of(panels, _draw, "standard deviation")
        values = [branch[key] for panel in panels for branch in panel.branches for key in STYLES]
        _scale_axis(figure, values)
        handles = [Line2D([], [], linestyle="none", label=label, **style) for label, style in STYLES.values()]
        if panels:
            figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        records = [
            {
                "row": panel.row,
                "concatenation": panel.concatenation,
                **{key: branch[key] for key in RECORD[2:]},
            }
            for panel in panels
            for branch in panel.branches
        ]
        notes = (sample_note(panels), *NOTES)
        return Drawing(figure, frame_of(records, RECORD), notes)


def _scale_axis(figure: Figure, values: list[float]) -> None:
    """From 0 where that shows every branch, else logarithmic; common to all panels."""
    positive = [value for value in values if value > 0]
    if not positive:
        return
    axes = figure.axes[0]
    if max(positive) > SPAN * min(positive):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.12 * max(positive))


def _draw(axes: Axes, panel: Panel) -> None:
    axes.axhline(1, color=GREY, linewidth=0.8, zorder=0.5)
    for place, branch in enumerate(panel.branches):
        axes.plot([place, place], [branch["raw_std"], branch["upsampled_std"]], color=COLOURS[1], linewidth=1)
    for key, (_, style) in STYLES.items():
        places = range(len(panel.branches))
        axes.plot(places, [branch[key] for branch in panel.branches], linestyle="none", **style)
