"""Prediction of detectors: boxes in pixels of the image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.detection.transforms import DetectionEvalTransform
from pipeline_src.data.instances.outlines import unpack
from pipeline_src.errors import InputError
from pipeline_src.evaluation.detect_multi_scale import AtSizes, detect
from pipeline_src.evaluation.detection_overlays import box_records, with_boxes, with_masks
from pipeline_src.evaluation.detection_pass import Complete
from pipeline_src.evaluation.detection_results import results_text
from pipeline_src.evaluation.detections import Detections, GroundTruth, ImageDetections
from pipeline_src.evaluation.divergence import NotFinite, finite_heads
from pipeline_src.evaluation.drawn_detections import SHOWN_SCORE, drawn
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.panels import draw_tiles, save_png, tile_size
from pipeline_src.evaluation.split_pass import evaluation_mode
from pipeline_src.files import atomic_path, write_json
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.predicting.task_prediction import OVERLAYS

RESULTS, IMAGES = "detections.json", "images.json"


@dataclass(frozen=True)
class FoundObjects:
    """The n objects that were found in an image of `size` (height, width), by falling score."""

    size: tuple[int, int]
    kept: ImageDetections

    def __len__(self) -> int:
        return len(self.kept.label)

    @property
    def boxes(self) -> NDArray[np.float64]:
        """`(n, 4)`: left, top, right, bottom, in pixels."""
        corner, sides = self.kept.bbox[:, :2], self.kept.bbox[:, 2:]
        return np.concatenate([corner, corner + sides], axis=1)

    @property
    def scores(self) -> NDArray[np.float64]:
        """`(n,)`, 0 to 1."""
        return self.kept.score

    @property
    def labels(self) -> NDArray[np.int64]:
        """`(n,)`: class ids, from 1."""
        return self.kept.label

    @property
    def masks(self) -> NDArray[np.bool_] | None:
        """`(n, H, W)`; None of a detector that draws none."""
        if len(self) and not self.kept.outline:
            return None
        height, width = self.size
        found = [unpack(outline, (width, height)) > 0 for outline in self.kept.outline]
        return np.stack(found) if found else np.zeros((0, height, width), dtype=bool)


class DetectionPrediction:
    """Boxes as the evaluation keeps them; see `predicting.task_prediction.TaskPrediction`."""

    build = staticmethod(build_detector)
    not_exported = (
        "detectors are not exported: how much they find differs by image, which torch.export cannot follow "
        "through non-maximum suppression; use `predict`, or `load` of pipeline_src.api"
    )
    complete: Complete | None = None
    """What makes of detections what is kept of them; None: they are kept as they are."""
    outlined = False

    def __init__(self, model: dict[str, Any], evaluation: Evaluation, classes: Sequence[str]) -> None:
        self.model, self.classes = model, list(classes)
        norm, scales = model["backbone"], evaluation.scales or []
        sizes = [DetectionEvalTransform.of(scale, norm["mean"], norm["std"]) for scale in scales]
        self.transform = AtSizes(tuple(sizes))

    def predict(
        self, network: torch.nn.Module, image: NDArray[np.uint8], device: torch.device, name: str
    ) -> FoundObjects:
        """The objects in an RGB image `(H, W, 3)`."""
        size, test = (image.shape[0], image.shape[1]), self.model["detector"]["test"]
        pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous()
        versions = [version.to(device) for version in self.transform(pixels)]
        try:
            with finite_heads(network), evaluation_mode(network), torch.no_grad():
                found = detect(network, versions, size, iou=test["nms_iou"], limit=test["detections"])
        except NotFinite as error:
            raise InputError(f"{name}: {error}; the model has diverged") from None
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        kept = Detections(self.model["num_classes"])
        kept.add(name, found if self.complete is None else self.complete(found, size))
        return FoundObjects(size, kept[name])

    def writer(self, folder: Path, stems: Callable[[str], str]) -> "BoxWriter":
        """Results in COCO's format and pictures below `folder`."""
        return BoxWriter(folder, stems, self.classes, self.outlined)


class BoxWriter:
    """`detections.json` in COCO's results format, `images.json` with COCO's images and categories, pictures.

    Images are numbered from 1 and categories are the class ids, as images.json says; so
    `COCO("images.json").loadRes("detections.json")` reads both.
    """

    def __init__(self, folder: Path, stems: Callable[[str], str], classes: list[str], outlined: bool) -> None:
        self.folder, self.stems, self.classes, self.outlined = folder, stems, classes, outlined
        self.detections = Detections(len(classes))
        self.sizes: dict[int | str, tuple[int, int]] = {}
        self.names: list[str] = []

    def add(self, name: str, image: NDArray[np.uint8], found: FoundObjects) -> dict[str, Any]:
        """Write the picture of an image `(H, W, 3)` and keep its objects."""
        self.names.append(name)
        number, kept = len(self.names), found.kept
        self.detections.add_rows(number, kept.bbox, kept.score, kept.label, kept.outline)
        self.sizes[number] = found.size
        file = f"{OVERLAYS}/{self.stems(name)}.png"
        save_png(draw_found(image, found, name, self.classes), self.folder / file)
        return {"id": number, "objects": len(found), "overlay": file}

    def finish(self) -> None:
        """Write both JSON files."""
        categories = list(range(1, len(self.classes)))
        write_json(
            self.folder / IMAGES,
            {
                "images": [
                    {"id": number, "file_name": name, "height": height, "width": width}
                    for (number, (height, width)), name in zip(self.sizes.items(), self.names, strict=True)
                ],
                "annotations": [],
                "categories": [{"id": one, "name": self.classes[one]} for one in categories],
            },
        )
        sizes = self.sizes if self.outlined else None
        with atomic_path(self.folder / RESULTS) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(results_text(self.detections, categories, sizes))


def draw_found(image: NDArray[np.uint8], found: FoundObjects, name: str, classes: list[str]) -> Image.Image:
    """An image `(H, W, 3)`, and the objects on it as the evaluation draws them; classes below."""
    nothing = GroundTruth(len(classes))
    nothing.add(name, {"boxes": np.zeros((0, 4)), "labels": np.zeros(0)})
    records = box_records(nothing[name], found.kept)["detections"]
    shown = drawn(records)
    caption = f"{name}   {len(shown)} detections from score {SHOWN_SCORE:g}"
    hidden = len(records) - len(shown)
    caption += f" ({hidden} below)" if hidden else ""
    size = tile_size(image.shape[1], image.shape[0])
    picture = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    ratios = (size[0] / image.shape[1], size[1] / image.shape[0])
    boxes = with_boxes(with_masks(picture, image, shown), list(reversed(shown)), ratios)
    tiles = [("image", picture), ("detections", boxes)]
    labels = sorted({box["label"] for box in shown})
    return draw_tiles(tiles, caption, [(label, classes[label]) for label in labels], ignore_index=-1)
