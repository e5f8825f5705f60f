"""Puts a short text beside each point of a plot without covering points or other texts."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_OFFSETS = [
    (0, 7), (7, 5), (-7, 5), (8, 0), (-8, 0), (7, -5), (-7, -5), (0, -8),
    (0, 16), (14, 12), (-14, 12), (17, 0), (-17, 0), (14, -12), (-14, -12), (0, -17),
]  # fmt: skip
"""Where a text may stand, in points from its marker, best first."""

_MARKER = 4.5

Box = tuple[float, float, float, float]
"""Left, bottom, right, top in pixels. Plain tuples, since there are many and Bbox is slow."""


def label_points(
    figure: Figure,
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    colour: str,
    bars: Sequence[float] = (),
) -> None:
    """Write `texts[i]` near `points[i]` (data coordinates), at the first offset where it is free.

    The points are taken to be joined by lines in their order, with error bars of half length
    `bars[i]`; a text rather stands on a line than on a point, a bar or another text.

    Call it when the limits and the layout of `figure` are final: places are found in pixels.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()
    pixels_per_point = figure.dpi / 72
    half = _MARKER * pixels_per_point
    positions = [tuple(map(float, axes.transData.transform(point))) for point in points]
    lengths = [0.0] * len(points)
    if bars:
        unit = axes.transData.transform((0, 1))[1] - axes.transData.transform((0, 0))[1]
        lengths = [abs(unit * bar) for bar in bars]
    taken: list[Box] = [
        (x - half, y - half - bar, x + half, y + half + bar)
        for (x, y), bar in zip(positions, lengths, strict=True)
    ]
    lines = _boxes_along(positions)
    for point, text in zip(points, texts, strict=True):
        candidates = []
        for dx, dy in _OFFSETS:
            note = axes.annotate(
                text,
                point,
                xytext=(dx, dy),
                textcoords="offset points",
                ha="center" if dx == 0 else "left" if dx > 0 else "right",
                va="center" if dy == 0 else "bottom" if dy > 0 else "top",
                color=colour,
                fontsize="small",
            )
            note.set_in_layout(False)
            left, bottom, right, top = map(float, note.get_window_extent(renderer).extents)
            box = (left, bottom, right, top)
            covered = 20 * sum(_overlap(box, other) for other in taken)
            covered += sum(_overlap(box, other) for other in lines)
            outside = 0.0 if _inside(axes.bbox.extents, box) else 1e6
            candidates.append((covered + outside, note, box))
        best = min(range(len(candidates)), key=lambda index: candidates[index][0])
        for index, (_, note, box) in enumerate(candidates):
            if index == best:
                taken.append(box)
            else:
                note.remove()


def _boxes_along(positions: Sequence[Any], steps: int = 40) -> list[Box]:
    """Small boxes along the lines between successive positions."""
    boxes = []
    for (x0, y0), (x1, y1) in pairwise(positions):
        for step in range(steps + 1):
            x, y = x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
            boxes.append((x - 1, y - 1, x + 1, y + 1))
    return boxes


def _overlap(first: Box, second: Box) -> float:
    """Area that both boxes cover."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return width * height if width > 0 and height > 0 else 0.0


def _inside(frame: Box, box: Box) -> bool:
    margin = 6
    return (
        box[0] >= frame[0] - margin
        and box[1] >= frame[1] - margin
        and box[2] <= frame[2] + margin
        and box[3] <= frame[3] + margin
    )
