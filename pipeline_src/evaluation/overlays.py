"""Pictures of a few predictions: image, ground truth and prediction side by side.

The images are spread evenly over the split (those of a video stand beside their like), the same for
every run of a study. Beside the panels stand the plain files (image, index masks) that figures are
drawn from, and `index.json`.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.evaluation.palette import colourise, index_image
from pipeline_src.files import atomic_path, digest_of, write_json

INDEX_FILE = "index.json"
_GAP = 8
_TEXT = 15
_MIN_TILE = 240
_MAX_TILE = 480
_INK = (20, 20, 20)
_GREY = (90, 90, 90)


def spread_evenly(count: int, length: int) -> list[int]:
    """Up to `count` indices of `length` records, evenly spread, the first among them."""
    count = min(count, length)
    return [number * length // count for number in range(count)]


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
        self._mean = np.asarray(mean, dtype=np.float64)[:, None, None]
        self._std = np.asarray(std, dtype=np.float64)[:, None, None]
        self._entries: dict[int, dict[str, Any]] = {}
        self._pixels: dict[int, list[Any]] = {}

    def __call__(
        self, index: int, name: str, image: NDArray[Any], truth: NDArray[Any], prediction: NDArray[Any]
    ) -> None:
        """Write the files of one image `(3, H, W)` with masks `(H, W)`, if it is to be kept."""
        if index not in self.indices:
            return
        rgb = self._denormalised(image)
        miou = self._miou(truth, prediction)
        files = {
            kind: f"{index:04d}_{_file_stem(name)}_{kind}.png"
            for kind in ("image", "truth", "prediction", "panel")
        }
        _save(Image.fromarray(rgb), self.folder / files["image"])
        _save(index_image(truth), self.folder / files["truth"])
        _save(index_image(prediction), self.folder / files["prediction"])
        score = "no labelled pixel" if miou is None else f"mIoU {100 * miou:.1f} % on this image"
        masks = [("ground truth", truth), ("prediction", prediction)]
        panel = draw_panel(rgb, masks, f"{name}   {score}", self.classes, self.ignore_index)
        _save(panel, self.folder / files["panel"])
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

    def _denormalised(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        pixels = np.rint((image * self._std + self._mean) * 255).clip(0, 255)
        return np.ascontiguousarray(pixels.astype(np.uint8).transpose(1, 2, 0))

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
    height, width = image.shape[:2]
    target = min(max(width, _MIN_TILE), _MAX_TILE)
    size = (target, max(1, round(height * target / width)))
    tiles = [("image", Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))]
    for title, ids in masks:
        resized = Image.fromarray(ids.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        tiles.append((title, Image.fromarray(colourise(np.asarray(resized), ignore_index))))

    font = ImageFont.load_default(_TEXT)
    total = len(tiles) * size[0] + (len(tiles) + 1) * _GAP
    line = _TEXT + 7
    occurring = sorted({int(c) for _, ids in masks for c in np.unique(ids)})
    names = [(c, classes[c] if c < len(classes) else "not evaluated") for c in occurring]
    rows = _wrap_legend(names, font, total - 2 * _GAP)
    canvas = Image.new("RGB", (total, 2 * line + size[1] + line * len(rows) + 2 * _GAP), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((_GAP, 4), caption, fill=_INK, font=font)
    for column, (title, tile) in enumerate(tiles):
        left = _GAP + column * (size[0] + _GAP)
        draw.text((left, line + 2), title, fill=_GREY, font=font)
        canvas.paste(tile, (left, 2 * line))
    for number, row in enumerate(rows):
        top = 2 * line + size[1] + _GAP + number * line
        for left, class_id, name in row:
            swatch = np.full((_TEXT - 1, _TEXT - 1), class_id)
            draw.rectangle((left, top + 2, left + _TEXT, top + 2 + _TEXT), outline=_GREY)
            canvas.paste(Image.fromarray(colourise(swatch, ignore_index)), (left + 1, top + 3))
            draw.text((left + _TEXT + 6, top), name, fill=_INK, font=font)
    return canvas


def _wrap_legend(names: list[tuple[int, str]], font: Any, width: int) -> list[list[tuple[int, int, str]]]:
    """Lines of (left, class id, name) that fit into `width` pixels."""
    rows: list[list[tuple[int, int, str]]] = [[]]
    left = 0
    for class_id, name in names:
        needed = _TEXT + 6 + int(font.getlength(name)) + 16
        if left and left + needed > width:
            rows.append([])
            left = 0
        rows[-1].append((_GAP + left, class_id, name))
        left += needed
    return rows


def _file_stem(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-." else "_" for c in name)[:80]


def _bytes_of(ids: NDArray[Any]) -> str:
    return digest_of([list(ids.shape), ids.astype(np.uint8).tobytes().hex()])


def _save(image: Image.Image, path: Path) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
