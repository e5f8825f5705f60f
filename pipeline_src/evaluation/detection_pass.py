"""A detector's pass over a split: what it finds in every image, beside what is there."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import distributed

from pipeline_src.errors import InputError
from pipeline_src.evaluation.detect_multi_scale import Found, detect
from pipeline_src.evaluation.detections import Detections, GroundTruth, ImageDetections, ImageId, ImageTruth
from pipeline_src.evaluation.divergence import NotFinite, finite_heads
from pipeline_src.evaluation.split_pass import EvaluationSplit, rank_and_world, run_pass

OnDetections = Callable[[int, ImageId, ImageTruth, ImageDetections], None]
"""Called with (index in the split, image id, its objects, what was found)."""

Complete = Callable[[Found, tuple[int, int]], Mapping[str, Any]]
"""From what was found in an image, and its height and width, to what `Detections.add` takes."""


def collect_detections(
    model: torch.nn.Module,
    split: EvaluationSplit,
    num_classes: int,
    device: torch.device | str,
    *,
    image_id: Callable[[str], ImageId] = str,
    on_detections: OnDetections | None = None,
    complete: Complete | None = None,
    iou: float = 0.5,
    limit: int = 100,
    workers: int = 0,
    title: str = "evaluate",
) -> tuple[Detections, GroundTruth]:
    """What `model` finds in every image of `split`, and what is there; `num_classes` with background.

    Items are (versions, target, id): `versions` is the image as float32 `(3, h, w)`, normalised, or a list
    of it at several test sizes (`multi_scale.AtSizes`); `target` holds what `GroundTruth.add` takes, with
    boxes in pixels of the original image, and `size`, its height and width.

    `model` maps a list of images to a list of detections, as torchvision's detectors do. Where an image
    comes at several sizes, their detections are merged by NMS at `iou` and the best `limit` are kept.
    `complete` makes of them what is kept, such as outlines of masks.
    `image_id` makes a results file's ids of the record ids: `int` for COCO, whose server wants numbers.

    The images are shared over ranks as `run_pass` says, and all ranks return both collections for the whole
    split. `on_detections` is called on the rank that holds the image.

    Raises `InputError` for a file that cannot be read, and one that names `title` and
    image for a model that has diverged: boxes, scores or the outputs of a detector's heads are not finite.
    """
    detections, truth = Detections(num_classes), GroundTruth(num_classes)

    def collect(index: int, item: tuple[Any, Any, str]) -> None:
        image, target, name = item
        versions = [torch.as_tensor(one).to(device) for one in _versions(image)]
        height, width = (int(value) for value in target["size"])
        key = image_id(name)
        truth.add(key, target)
        try:
            found = detect(model, versions, (height, width), iou=iou, limit=limit)
        except NotFinite as error:
            raise InputError(
                f"{title}: image {name!r}: {error}; the model has diverged; a lower learning rate or a "
                "warm-up would be next to try"
            ) from None
        detections.add(key, found if complete is None else complete(found, (height, width)))
        if on_detections is not None:
            on_detections(index, key, truth[key], detections[key])

    with finite_heads(model):
        run_pass(model, split, collect, workers=workers, title=title)
    if rank_and_world()[1] > 1:
        _gather_over_ranks(detections, truth)
    return detections, truth


def _versions(image: Any) -> list[Any]:
    return list(image) if isinstance(image, list | tuple) else [image]


def _gather_over_ranks(detections: Detections, truth: GroundTruth) -> None:
    """Add what the other ranks hold."""
    rank, world = rank_and_world()
    parts: list[Any] = [None] * world
    distributed.all_gather_object(parts, (detections, truth))
    for number, (other_detections, other_truth) in enumerate(parts):
        if number != rank:
            detections.merge(other_detections)
            truth.merge(other_truth)
