"""What every figure has in common: one style, byte-stable files, and the data that it was drawn from."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from pipeline_src.files import atomic_path, write_text

PACKAGE_FILES = ["fusebench.mplstyle"]

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
"""Okabe and Ito's colours, as in the style file."""

LINES = ["-", "--", ":", "-."]
GREY = "#6e6e6e"


@dataclass(frozen=True)
class Drawing:
    """A finished figure with the values that it shows, line by line, and notes for its caption."""

    figure: Figure
    records: pd.DataFrame
    notes: tuple[str, ...] = ()


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the project's style, whatever the user's own matplotlib settings are."""
    with matplotlib.rc_context():
        matplotlib.rc_file(Path(__file__).with_name(PACKAGE_FILES[0]), use_default_template=True)
        yield


def series_style(number: int) -> dict[str, str]:
    """Colour and line style of the `number`-th series: distinct for the first 28."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": LINES[number // len(COLOURS) % len(LINES)],
    }


def save_drawing(drawing: Drawing, svg: str, png: str, table: str) -> None:
    """Write both pictures and the CSV; the same drawing makes the same bytes (no dates, fixed ids)."""
    with styled():
        as_written(drawing.figure)
        with atomic_path(svg) as temporary:
            FigureCanvasSVG(drawing.figure).print_svg(temporary, metadata={"Date": None})
        with atomic_path(png) as temporary:
            canvas = FigureCanvasAgg(drawing.figure)
            canvas.figure.set_dpi(matplotlib.rcParams["savefig.dpi"])
            canvas.print_png(temporary, metadata={"Software": None})
    write_text(table, drawing.records.to_csv(index=False, lineterminator="\n"))


def frame_of(records: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Records as they are: numbers keep their type beside a None, which is an empty cell in a file."""
    return pd.DataFrame(records, columns=columns, dtype=object)


def as_written(figure: Figure) -> None:
    """Have names with dollar signs drawn as they are: two of them would be taken for a formula.

    Labels of ticks that Matplotlib writes itself are formulas, and stay.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter):
                formatter.seq = [_escaped(str(text)) for text in formatter.seq]
    for text in figure.findobj(Text):
        if "\\mathdefault" not in text.get_text():
            text.set_text(_escaped(text.get_text()))


def _escaped(text: str) -> str:
    return text if "\\$" in text else text.replace("$", "\\$")
