"""Images with ground truth and detections, with their masks if there are such, one column per row.

Each row of the study is shown by its first run. Boxes come from the evaluations' index files; of the
detections those are drawn whose score is at least `SHOWN_SCORE`, and where an image has none, its best
ones, as many as there are objects, dotted.
"""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.instances.outlines import unpack
from pipeline_src.evaluation.drawn_detections import SHOWN_SCORE, drawn
from pipeline_src.files import digest_file
from pipeline_src.reporting.figures.drawing import COLOURS, Drawing, frame_of
from pipeline_src.reporting.figures.figure_kind import FigureKind, Inputs
from pipeline_src.reporting.figures.shown_runs import shown_runs
from pipeline_src.reporting.prediction_pictures import read_boxes
from pipeline_src.reporting.report_params import DrawFigure

RECORD = ["image", "column", "run", "label", "score", "x", "y", "width", "height", "sha256"]


class DetectionsFigure(FigureKind):
    """`detections`: ground truth and detections on images."""

    reads = ("evaluate",)
    tasks = ("detection", "instances")
    pictures = True

    @staticmethod
    def draw(params: DrawFigure, options: Any, inputs: Inputs) -> Drawing:
        """One line per image: ground truth, then every row's detections."""
        shown = shown_runs(params, inputs["evaluate"], read_boxes, "detections")
        labels, runs, indices, names = shown.labels, shown.runs, shown.indices, shown.images
        first = indices[0]

        columns = ["ground truth", *labels]
        figure = Figure(figsize=(7.0, 0.5 + len(names) * 5.6 / len(columns)))
        grid = figure.subplots(len(names), len(columns), squeeze=False)
        records: list[dict[str, Any]] = []
        for line, name in enumerate(names):
            entries = [index["images"][line] for index in indices]
            picture, digest = (
                np.asarray(Image.open(entries[0]["image"]).convert("RGB")),
                digest_file(entries[0]["image"]),
            )
            truth = entries[0]["truth"]
            boxes = [truth, *(_shown(entry["detections"], len(truth)) for entry in entries)]
            for place, (column, run, found) in enumerate(zip(columns, ["", *runs], boxes, strict=True)):
                axes = grid[line][place]
                _draw(axes, picture, found)
                if line == 0:
                    axes.set_title(textwrap.fill(column, 90 // len(columns)), fontsize="small")
                records += [
                    {
                        "image": name, "column": column, "run": run, "label": first["classes"][box["label"]],
                        "score": box.get("score"), "sha256": digest,
                        **dict(zip(("x", "y", "width", "height"), box["bbox"], strict=True)),
                    }
                    for box in found
                ]  # fmt: skip
        occurring = sorted({first["classes"].index(record["label"]) for record in records})
        handles = [Patch(color=_colour(label), label=first["classes"][label]) for label in occurring]
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)))
        notes = (
            f"Detections with a score of at least {SHOWN_SCORE:g}, of the first seed; where an image has "
            "none, its best ones, as many as there are objects, dotted. Images spread evenly over the "
            "validation split. Dashed: objects that are ignored in scoring (crowds, difficult ones).",
        )
        return Drawing(figure, frame_of(records, RECORD), notes)


def _shown(detections: list[dict[str, Any]], objects: int) -> list[dict[str, Any]]:
    best = sorted(detections, key=lambda box: -box["score"])[:objects]
    return drawn(detections) or [{**box, "uncertain": True} for box in best]


def _colour(label: int) -> str:
    return COLOURS[(label - 1) % len(COLOURS)]


def _with_masks(picture: NDArray[np.uint8], boxes: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """`picture` `(H, W, 3)` with every outlined object half covered by its class's colour.

    One array a panel: matplotlib keeps what it draws, and a layer an object would take gigabytes.
    """
    covered = picture.copy()
    for box in boxes:
        if "outline" in box:
            mask = unpack(box["outline"].encode("ascii"), (picture.shape[1], picture.shape[0])) > 0
            colour = 255 * np.array(to_rgb(_colour(box["label"])))
            covered[mask] = np.round(0.5 * covered[mask] + 0.5 * colour)
    return covered


def _draw(axes: Axes, picture: Any, boxes: list[dict[str, Any]]) -> None:
    axes.imshow(_with_masks(picture, boxes))
    axes.set_axis_off()
    for box in boxes:
        x, y, width, height = box["bbox"]
        style = "--" if box.get("ignored") else ":" if box.get("uncertain") else "-"
        colour = _colour(box["label"])
        axes.add_patch(
            Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1, linestyle=style)
        )
