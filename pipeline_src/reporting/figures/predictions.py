"""Predicted masks beside image and ground truth, one column per row of the study (DFP, Figure 4).

Each row of the study is shown by its first run. The images are those that every run's evaluation
kept, so the columns show the same images.
"""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.evaluation.palette import colourise, voc_palette
from pipeline_src.files import digest_file
from pipeline_src.reporting.figures.drawing import Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.figures.shown_runs import shown_runs
from pipeline_src.reporting.prediction_pictures import read_overlays
from pipeline_src.reporting.report_params import DrawFigure

RECORD = ["image", "column", "run", "miou", "file", "sha256"]
TILE = 320
"""Width in pixels that pictures are reduced to."""
LETTER = 0.075
"""Width in inches of an average letter of a title."""


class Predictions(FigureKind):
    """`predictions`: image, ground truth and predictions side by side."""

    reads = ("evaluate",)
    tasks = ("segmentation",)
    pictures = True

    @staticmethod
    def draw(params: DrawFigure, options: Any, inputs: Inputs) -> Drawing:
        """One line per image: image, ground truth, and every row's prediction."""
        shown = shown_runs(params, inputs["evaluate"], read_overlays, "predictions")
        labels, runs, overlays, names = shown.labels, shown.runs, shown.indices, shown.images
        first = overlays[0]

        titles = ["image", "ground truth", *labels]
        grid, records, occurring = [], [], set()
        for number, name in enumerate(names):
            entries = [other["images"][number] for other in overlays]
            masks = [
                ("", entries[0]["truth"]),
                *((r, e["prediction"]) for r, e in zip(runs, entries, strict=True)),
            ]
            line = [_photo(entries[0]["image"])]
            records.append(_record(name, titles[0], "", None, entries[0]["image"]))
            for column, (run, file) in enumerate(masks):
                ids = np.asarray(Image.open(file))
                occurring |= {int(class_id) for class_id in np.unique(ids)}
                # Hatch after resizing, so that the hatching is as fine everywhere.
                line.append(colourise(_reduced(ids, Image.Resampling.NEAREST), first["ignore_index"]))
                score = entries[column - 1]["miou"] if column else None
                records.append(_record(name, titles[column + 1], run, score, file))
            grid.append(line)
        note = f"Predictions of {', '.join(runs)}."
        return Drawing(side_by_side(grid, titles, first, occurring), frame_of(records, RECORD), (note,))


def side_by_side(
    grid: list[list[NDArray[np.uint8]]], titles: list[str], overlays: dict[str, Any], occurring: set[int]
) -> Figure:
    """Pictures line by line under their `titles`.

    All places are in inches, so that the tiles keep their shapes and nothing is left empty.
    """
    gap, line_height = 0.06, 0.19
    width = 7.0
    tile = (width - gap * (len(titles) + 1)) / len(titles)
    titles = [textwrap.fill(title, int(tile / LETTER)) for title in titles]
    title_height = 0.04 + line_height * max(title.count("\n") + 1 for title in titles)
    heights = [max(tile * picture.shape[0] / picture.shape[1] for picture in line) for line in grid]
    legend = _legend(overlays, occurring)
    columns = min(len(legend), 6)
    legend_height = line_height * -(-len(legend) // columns) + 0.1
    height = title_height + sum(heights) + gap * len(grid) + legend_height
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")
    top = height - title_height
    for line, pictures in enumerate(grid):
        for column, picture in enumerate(pictures):
            left = gap + column * (tile + gap)
            bottom = top - heights[line]
            place = figure.add_axes((left / width, bottom / height, tile / width, heights[line] / height))
            place.imshow(picture, interpolation="nearest")
            place.set_axis_off()
            if line == 0:
                middle = (left + tile / 2) / width
                figure.text(middle, (top + 0.03) / height, titles[column], ha="center", va="bottom")
        top -= heights[line] + gap
    figure.legend(
        handles=legend,
        loc="upper left",
        bbox_to_anchor=(0, (legend_height - 0.02) / height),
        borderaxespad=0,
        ncols=columns,
        handlelength=1.2,
        columnspacing=1.2,
    )
    return figure


def _legend(overlays: dict[str, Any], occurring: set[int]) -> list[Patch]:
    palette = voc_palette() / 255
    classes = [class_id for class_id in sorted(occurring) if class_id < len(overlays["classes"])]
    patches = [
        Patch(facecolor=palette[c], edgecolor="#4d4d4d", linewidth=0.5, label=overlays["classes"][c])
        for c in classes
    ]
    if overlays["ignore_index"] in occurring:
        void = {"facecolor": "#cdcdcd", "edgecolor": "#969696", "hatch": "////", "linewidth": 0.5}
        patches.append(Patch(**void, label="not evaluated"))  # type: ignore[arg-type]
    return patches


def _photo(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return _reduced(np.asarray(image.convert("RGB")), Image.Resampling.LANCZOS)


def _reduced(pixels: NDArray[np.uint8], how: Image.Resampling) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((TILE, max(1, round(height * TILE / width))), how))


def _record(name: str, column: str, run: str, miou: float | None, file: Path) -> dict[str, Any]:
    return {
        "image": name,
        "column": column,
        "run": run,
        "miou": miou,
        "file": str(file),
        "sha256": digest_file(file),
    }
