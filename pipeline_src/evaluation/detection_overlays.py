"""Pictures of a few images' detections, ground truth beside them, and the boxes as records.

The images are those that segmentation would show (`panels.spread_evenly`). Beside each panel stands the
plain image, and `index.json` holds every box, so that a figure can draw them its own way.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline_src.data.instances.outlines import unpack
from pipeline_src.evaluation.detections import ImageDetections, ImageId, ImageTruth
from pipeline_src.evaluation.drawn_detections import SHOWN_SCORE, drawn
from pipeline_src.evaluation.palette import voc_palette
from pipeline_src.evaluation.panels import draw_tiles, file_stem, save_png, tile_size
from pipeline_src.evaluation.picture_index import INDEX_FILE
from pipeline_src.files import digest_of, write_json

_TEXT = 12
_DASH = 6
_WHITE = (255, 255, 255)


class DetectionOverlayWriter:
    """Writes the chosen images with their boxes; `classes` are by label, background first.

    `finish()` writes `index.json`: `{"content", "classes", "images": [{"id", "image", "panel", "size",
    "truth": [{"bbox", "label", "ignored"}], "detections": [{"bbox", "label", "score"}]}]}`, with file
    names relative to `folder`, `size` (height, width), bbox xywh in pixels. `content` identifies boxes.
    """

    def __init__(self, folder: str | Path, images: Sequence[ImageId], classes: list[str]):
        self.folder = Path(folder)
        self.numbers = {image_id: number for number, image_id in enumerate(images)}
        self.classes = classes
        self._entries: dict[ImageId, dict[str, Any]] = {}

    def __call__(
        self, image_id: ImageId, rgb: NDArray[np.uint8], truth: ImageTruth, found: ImageDetections
    ) -> None:
        """Write the files of one image `(H, W, 3)` at its own size, if it is to be kept."""
        if image_id not in self.numbers:
            return
        stem = f"{self.numbers[image_id]:04d}_{file_stem(str(image_id))}"
        entry: dict[str, Any] = {
            "id": image_id,
            "image": f"{stem}_image.png",
            "panel": f"{stem}_panel.png",
            "size": list(rgb.shape[:2]),
            **box_records(truth, found),
        }
        save_png(Image.fromarray(rgb), self.folder / entry["image"])
        save_png(draw_boxes_panel(rgb, entry, str(image_id), self.classes), self.folder / entry["panel"])
        self._entries[image_id] = entry

    def finish(self) -> dict[str, Any]:
        """Write `index.json` and return what it says."""
        order = sorted(self._entries, key=lambda image: (isinstance(image, str), image))
        images = [self._entries[image_id] for image_id in order]
        value = {"content": digest_of([self.classes, images]), "classes": self.classes, "images": images}
        write_json(self.folder / INDEX_FILE, value)
        return value


def box_records(truth: ImageTruth, found: ImageDetections) -> dict[str, list[dict[str, Any]]]:
    """`truth` and `detections` of one image as plain records; `ignored` is a crowd or difficult.

    Where objects have outlines, a record has its own as COCO's compressed run lengths.
    """
    ignored = (truth.crowd | truth.difficult).tolist()
    return {
        "truth": [
            {"bbox": bbox, "label": label, "ignored": flag, **_outline_of(truth, place)}
            for place, (bbox, label, flag) in enumerate(
                zip(truth.bbox.tolist(), truth.label.tolist(), ignored, strict=True)
            )
        ],
        "detections": [
            {"bbox": bbox, "label": label, "score": score, **_outline_of(found, place)}
            for place, (bbox, label, score) in enumerate(
                zip(found.bbox.tolist(), found.label.tolist(), found.score.tolist(), strict=True)
            )
        ],
    }


def _outline_of(part: ImageTruth | ImageDetections, place: int) -> dict[str, str]:
    return {"outline": part.outline[place].decode("ascii")} if part.outline else {}


def draw_boxes_panel(
    rgb: NDArray[np.uint8], boxes: Mapping[str, Any], name: str, classes: list[str]
) -> Image.Image:
    """Ground truth and detections on an image `(H, W, 3)`, side by side; classes below.

    `boxes` is what `box_records` returns. Colours are VOC's; ignored objects are dashed; detections bear
    their score in percent, the best one on top.
    """
    shown = drawn(boxes["detections"])
    hidden = len(boxes["detections"]) - len(shown)
    caption = f"{name}   {len(boxes['truth'])} objects, {len(shown)} detections from score {SHOWN_SCORE:g}"
    caption += f" ({hidden} below)" if hidden else ""
    size = tile_size(rgb.shape[1], rgb.shape[0])
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)
    ratios = (size[0] / rgb.shape[1], size[1] / rgb.shape[0])
    tiles = [
        ("ground truth", with_boxes(with_masks(picture, rgb, boxes["truth"]), boxes["truth"], ratios)),
        ("detections", with_boxes(with_masks(picture, rgb, shown), list(reversed(shown)), ratios)),
    ]
    labels = sorted({box["label"] for box in [*boxes["truth"], *shown]})
    return draw_tiles(tiles, caption, [(label, classes[label]) for label in labels], ignore_index=-1)


def with_masks(
    picture: Image.Image, rgb: NDArray[np.uint8], boxes: Sequence[Mapping[str, Any]]
) -> Image.Image:
    """The picture with every outlined object of an image `(H, W, 3)` half covered by its colour."""
    pixels = np.asarray(picture).copy()
    for box in boxes:
        if "outline" in box:
            mask = unpack(box["outline"].encode("ascii"), (rgb.shape[1], rgb.shape[0]))
            resized = Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST)
            inside = np.asarray(resized) > 0
            pixels[inside] = (pixels[inside] // 2 + voc_palette()[box["label"] % 256] // 2).astype(np.uint8)
    return Image.fromarray(pixels)


def with_boxes(
    picture: Image.Image, boxes: Sequence[Mapping[str, Any]], ratios: tuple[float, float]
) -> Image.Image:
    """The picture with boxes drawn on it, scores on top; `ratios` are its pixels per pixel of theirs."""
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(_TEXT)
    palette = voc_palette()
    texts = []
    for box in boxes:
        x, y, width, height = box["bbox"]
        corners = [x * ratios[0], y * ratios[1], (x + width) * ratios[0], (y + height) * ratios[1]]
        left, top, right, bottom = (round(value) for value in corners)
        # the last pixel that belongs to the box, inside the picture
        right = min(max(right - 1, left), drawn.width - 1)
        bottom = min(max(bottom - 1, top), drawn.height - 1)
        red, green, blue = palette[box["label"] % 256].tolist()
        _outline(draw, (left, top, right, bottom), (red, green, blue), dashed=box.get("ignored", False))
        if "score" in box:
            texts.append((left, top, f"{100 * box['score']:.0f}", (red, green, blue)))
    for left, top, text, colour in texts:  # after all lines, so that none crosses a number
        end = left + int(font.getlength(text)) + 4
        draw.rectangle((left, top, end, top + _TEXT + 2), fill=colour, outline=_WHITE)
        draw.text((left + 3, top), text, fill=_WHITE, font=font)
    return drawn


def _outline(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    colour: tuple[int, int, int],
    *,
    dashed: bool,
) -> None:
    """A line of two pixels inside the box, and a white one around it, since VOC's colours are dark."""
    left, top, right, bottom = box
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_WHITE)
    for inset in range(2):
        if right - left < 2 * inset or bottom - top < 2 * inset:
            continue
        draw.rectangle((left + inset, top + inset, right - inset, bottom - inset), outline=colour)
    if not dashed:
        return
    for x in range(left, right, 2 * _DASH):
        for y in (top, bottom - 1):
            draw.rectangle((x, y, min(x + _DASH - 1, right), min(y + 1, bottom)), fill=_WHITE)
    for y in range(top, bottom, 2 * _DASH):
        for x in (left, right - 1):
            draw.rectangle((x, y, min(x + 1, right), min(y + _DASH - 1, bottom)), fill=_WHITE)
