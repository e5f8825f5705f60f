"""Pictures of a few predictions: image, ground truth and prediction side by side.

The images are spread evenly over the split (those of a video stand beside their like), the same for
every run of a study. Beside the panels stand the plain files (image, index masks) that figures are
drawn from, and `index.json`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.evaluation.palette import colourise, index_image
from pipeline_src.evaluation.panels import denormalised, draw_tiles, file_stem, save_png, tile_size
from pipeline_src.evaluation.picture_index import INDEX_FILE
from pipeline_src.files import digest_of, write_json


class OverlayWriter:
    """Collects the predictions of the images at `indices` of a split and writes them as pictures.

    An instance is passed to `evaluate_model` as `on_prediction`; `finish()` writes `index.json`:
    `{"content", "classes", "ignore_index", "images": [{"id", "image", "truth", "prediction",
    "panel", "miou"}]}` with file names relative to `folder`. `content` identifies what the index
    masks show.
    """

    def __init__(
        self,
        folder: str | Path,
        indices: Sequence[int],
        classes: list[str],
        mean: list[float],
        std: list[float],
        ignore_index: int,
    ):
        self.folder = Path(folder)
        self.indices = frozenset(indices)
        self.classes = classes
        self.ignore_index = ignore_index
        self._mean, self._std = mean, std
        self._entries: dict[int, dict[str, Any]] = {}
        self._pixels: dict[int, list[Any]] = {}

    def __call__(
        self, index: int, name: str, image: NDArray[Any], truth: NDArray[Any], prediction: NDArray[Any]
    ) -> None:
        """Write the files of one image `(3, H, W)` with masks `(H, W)`, if it is to be kept."""
        if index not in self.indices:
            return
        rgb = denormalised(image, self._mean, self._std)
        miou = self._miou(truth, prediction)
        files = {
            kind: f"{index:04d}_{file_stem(name)}_{kind}.png"
            for kind in ("image", "truth", "prediction", "panel")
        }
        save_png(Image.fromarray(rgb), self.folder / files["image"])
        save_png(index_image(truth), self.folder / files["truth"])
        save_png(index_image(prediction), self.folder / files["prediction"])
        score = "no labelled pixel" if miou is None else f"mIoU {100 * miou:.1f} % on this image"
        masks = [("ground truth", truth), ("prediction", prediction)]
        panel = draw_panel(rgb, masks, f"{name}   {score}", self.classes, self.ignore_index)
        save_png(panel, self.folder / files["panel"])
        self._entries[index] = {"id": name, **files, "miou": miou}
        self._pixels[index] = [name, _bytes_of(truth), _bytes_of(prediction)]

    def finish(self) -> dict[str, Any]:
        """Write `index.json` and return what it says."""
        order = sorted(self._entries)
        value = {
            "content": digest_of([self.classes, self.ignore_index, [self._pixels[i] for i in order]]),
            "classes": self.classes,
            "ignore_index": self.ignore_index,
            "images": [self._entries[i] for i in order],
        }
        write_json(self.folder / INDEX_FILE, value)
        return value

    def _miou(self, truth: NDArray[Any], prediction: NDArray[Any]) -> float | None:
        confusion = Confusion(len(self.classes), self.ignore_index)
        confusion.add(truth, prediction)
        return confusion.scores()["miou"]


def draw_panel(
    image: NDArray[np.uint8],
    masks: list[tuple[str, NDArray[Any]]],
    caption: str,
    classes: list[str],
    ignore_index: int,
) -> Image.Image:
    """An image `(H, W, 3)` and titled masks `(H, W)` in a row; caption above, the classes below.

    Everything is scaled to a width that can be looked at; masks by nearest neighbour, so that no
    colour appears that stands for no class.
    """
    size = tile_size(image.shape[1], image.shape[0])
    tiles = [("image", Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))]
    for title, ids in masks:
        resized = Image.fromarray(ids.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        tiles.append((title, Image.fromarray(colourise(np.asarray(resized), ignore_index))))
    occurring = sorted({int(c) for _, ids in masks for c in np.unique(ids)})
    names = [(c, classes[c] if c < len(classes) else "not evaluated") for c in occurring]
    return draw_tiles(tiles, caption, names, ignore_index)


def _bytes_of(ids: NDArray[Any]) -> str:
    return digest_of([list(ids.shape), ids.astype(np.uint8).tobytes().hex()])
