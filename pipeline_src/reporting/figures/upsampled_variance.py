"""Variance after bilinear upsampling against the variance before (Scale Equalization, Figure 3).

On the left the variances, as in the paper; on the right their quotient, in which the two closed forms
can be told apart: maps of this size, and maps without borders.
"""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline_src.calibration.simulation_options import Simulation
from pipeline_src.errors import InputError
from pipeline_src.files import read_json
from pipeline_src.options import option
from pipeline_src.reporting.figures.drawing import COLOURS, GREY, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.report_params import DrawFigure

RECORD = ["series", "ratio", "variance", "before", "after", "factor"]
EXACT, UPSAMPLED, FINITE, INTERIOR = "exact", "upsampled", "closed form, this size", "closed form, no borders"


class UpsampledVariance(FigureKind):
    """`upsampled_variance`: variance of random maps after upsampling against before."""

    @dataclass(frozen=True)
    class Options:
        """Variance of random maps after upsampling against before."""

        simulation: Simulation = option(Simulation(), "What is simulated.")

    reads = ("simulation",)

    @staticmethod
    def draw(params: DrawFigure, options: "UpsampledVariance.Options", inputs: Inputs) -> Drawing:
        """Two panels, a colour per ratio; `InputError` for a file that is no simulation."""
        path = inputs["simulation"]
        simulation = read_json(path)
        try:
            records = _records(simulation)
            notes = _notes(simulation, records)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not the result of a simulation ({error!r}); simulate again") from None
        colours = {ratio: COLOURS[i % len(COLOURS)] for i, ratio in enumerate(simulation["ratios"])}

        figure = Figure(figsize=(7.0, 3.4))
        after, factor = figure.subplots(1, 2)
        end = max(record["before"] for record in records) * 1.03
        after.plot([0, end], [0, end], color=GREY, linewidth=1)
        after.set_xlim(0, end)
        after.set_ylim(0, end)
        after.set_title("Variance after upsampling")
        factor.set_title("After / before")
        factor.margins(y=0.12)
        for axes in (after, factor):
            axes.set_xlabel("variance before upsampling")
        for ratio, colour in colours.items():
            own = [record for record in records if record["ratio"] == ratio]
            _draw(after, own, colour, "after")
            _draw(factor, own, colour, "factor")
        handles = [Line2D([], [], color=GREY, linewidth=1, label="not upsampled (ratio 1)")]
        handles += [
            Line2D(
                [],
                [],
                color=colour,
                marker="o",
                markersize=4,
                linestyle="none",
                label=f"ratio {ratio}, exact",
            )
            for ratio, colour in colours.items()
        ]
        handles += [
            Line2D([], [], color="black", linewidth=1, label="closed form, this size"),
            Line2D([], [], color="black", linewidth=1, linestyle=":", label="closed form, no borders"),
        ]
        if simulation["confirmed"]:
            handles.append(Line2D([], [], linestyle="none", label="really upsampled", **_RING))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        return Drawing(figure, frame_of(records, RECORD), notes)


_POINT: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "none"}
_RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.0,
}


def _records(simulation: dict[str, Any]) -> list[dict[str, Any]]:
    """One record for every point that is drawn, and two for every line: its ends."""
    points, closed = simulation["points"], simulation["closed_form"]
    before = {point["variance"]: point["before"] for point in points}
    records: list[dict[str, Any]] = []
    for ratio in simulation["ratios"]:
        records += [
            _record(EXACT, ratio, point["variance"], point["before"], point["after"][str(ratio)])
            for point in points
        ]
        for one in simulation["confirmed"]:
            if one["ratio"] == ratio:
                variance = one["variance"]
                records.append(_record(UPSAMPLED, ratio, variance, before[variance], one["upsampled"]))
        for series, key in ((FINITE, "finite"), (INTERIOR, "interior")):
            for point in (points[0], points[-1]):
                start = point["before"]
                records.append(_record(series, ratio, None, start, start * closed[key][str(ratio)]))
    return records


def _record(series: str, ratio: int, variance: float | None, before: float, after: float) -> dict[str, Any]:
    return {
        "series": series,
        "ratio": ratio,
        "variance": variance,
        "before": before,
        "after": after,
        "factor": after / before,
    }


def _draw(axes: Axes, records: list[dict[str, Any]], colour: str, value: str) -> None:
    for series, style in ((FINITE, "-"), (INTERIOR, ":")):
        ends = [record for record in records if record["series"] == series]
        axes.plot(
            [r["before"] for r in ends], [r[value] for r in ends], color=colour, linewidth=1, linestyle=style
        )
    exact = [record for record in records if record["series"] == EXACT]
    axes.plot(
        [record["before"] for record in exact],
        [record[value] for record in exact],
        color=colour,
        linestyle="none",
        marker="o",
        markersize=4 if len(exact) <= 30 else 2,
    )
    real = [record for record in records if record["series"] == UPSAMPLED]
    axes.plot([r["before"] for r in real], [r[value] for r in real], linestyle="none", **_RING)


def _notes(simulation: dict[str, Any], records: list[dict[str, Any]]) -> tuple[str, ...]:
    images, channels, height, width = simulation["maps"]
    closed, ratios = simulation["closed_form"], simulation["ratios"]
    least = min(ratios, key=lambda ratio: closed["finite"][str(ratio)])
    factors = ", ".join(
        f"{closed['finite'][str(ratio)]:.5f} ({closed['interior'][str(ratio)]:.5f}) at ratio {ratio}"
        for ratio in ratios
    )
    notes = [
        f"Maps of {images} x {channels} x {height} x {width} independent normal values of mean "
        f"{simulation['mean']:g}; the variance after upsampling is computed exactly from the maps before it.",
        f"Closed forms: the variance falls to {factors} of its value on maps of this size (without borders).",
        f"Ratio {least} loses most"
        + (", so that the loss does not grow with the ratio" if least < max(ratios) else "")
        + ". Neighbours on real maps are correlated, and these lose less.",
    ]
    if confirmed := simulation["confirmed"]:
        worst = max(abs(one["upsampled"] / one["exact"] - 1) for one in confirmed)
        notes.append(
            f"Rings: one variance per ratio, {confirmed[0]['images']} images really upsampled; their "
            f"variance differs from the exact one of the same images by {worst:.0e}, relatively, at most."
        )
    return tuple(notes)
