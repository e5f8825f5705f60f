"""What the figures of scales share: probes of a study's rows, as panels of one grid."""

import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline_src.errors import InputError
from pipeline_src.files import read_json
from pipeline_src.reporting.figures.figure_kind import Inputs
from pipeline_src.reporting.report_params import DrawFigure

COLUMNS = 3
"""Panels beside one another, at most."""


@dataclass(frozen=True)
class Panel:
    """One concatenation of one row's network: its branches as `steps/probe.py` writes them."""

    row: str
    title: str
    concatenation: str
    branches: list[dict[str, Any]]
    batches: int
    batch: int


def read_panels(params: DrawFigure, inputs: Inputs, needed: tuple[str, ...]) -> list[Panel]:
    """A panel for every concatenation of the probe of every row, in order.

    `needed`: entries that every branch must have. Raises `InputError` for a file that is no probe, and
    when there is not one file per row.
    """
    rows, paths = params.rows, inputs["probe"]
    if len(rows) != len(paths):
        raise InputError(f"inputs.probe: has {len(paths)} files for {len(rows)} rows")
    panels = []
    for row, path in zip(rows, paths, strict=True):
        probe = read_json(path)
        try:
            found = probe["concatenations"]
            for name, branches in found.items():
                for branch in branches:
                    missing = [key for key in ("branch", *needed) if key not in branch]
                    if missing:
                        raise KeyError(missing[0])
                title = row.name if len(found) == 1 else f"{row.name}: {_short(name)}"
                panels.append(Panel(row.name, title, name, branches, probe["batches"], probe["batch"]))
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not the result of a probe ({error!r}); probe again") from None
    return panels


def grid_of(panels: list[Panel], draw: Callable[[Axes, Panel], None], label: str) -> Figure:
    """A figure with one small panel each, a common y axis with `label`, and room for a legend below."""
    columns = min(COLUMNS, max(len(panels), 1))
    lines = max(1, math.ceil(len(panels) / columns))
    figure = Figure(figsize=(7.0, 0.7 + (2.6 if lines == 1 else 1.75 * lines)))
    if not panels:
        figure.subplots().set_axis_off()
        figure.text(0.5, 0.5, "no row has equalizers that were calibrated", ha="center")
        return figure
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    figure.supylabel(label, fontsize="medium")
    for axes, panel in zip(grid.flat, panels, strict=False):
        draw(axes, panel)
        axes.set_title(textwrap.fill(panel.title, 93 // columns), fontsize="small", fontweight="normal")
        names = [branch["branch"] for branch in panel.branches]
        crowded = sum(len(name) + 1 for name in names) > 102 // columns
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=30 if crowded else 0,
            ha="right" if crowded else "center",
            rotation_mode="anchor",
        )
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.grid(False, axis="x")
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    return figure


def sample_note(panels: list[Panel]) -> str:
    """How many images the probes saw."""
    seen = sorted({(panel.batches, panel.batch) for panel in panels})
    said = " or ".join(f"{batches} training batches of {batch} images" for batches, batch in seen)
    return f"Initial networks of the first seed, on the first {said}." if seen else "Nothing was probed."


def _short(name: str) -> str:
    """A concatenation's place in the network without what all places have in common."""
    short = name.removesuffix(".concat")
    # by its level, as most are, or by a word of its own, such as stage3
    short = re.sub(r"^pyramid\.fusions\.(?=\d)", "pyramid level ", short)
    return short.replace("pyramid.fusions.", "pyramid ")
