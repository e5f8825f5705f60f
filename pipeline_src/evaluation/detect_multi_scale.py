"""Multi-scale testing of a detector: one image at several sizes, the detections merged by NMS.

IPG-Net's rows with `++` test at three sizes (its Table 6). How the results are merged is not printed;
here they are thrown together and pass one more non-maximum suppression per class.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torchvision.ops import batched_nms, clip_boxes_to_image

from pipeline_src.evaluation.divergence import require_finite

Found = dict[str, torch.Tensor]
"""`boxes` `(n, 4)` xyxy in pixels, `scores` `(n,)`, `labels` `(n,)`; `masks` `(n, 1, M, M)` in boxes."""

_KEYS = ("boxes", "scores", "labels", "masks")

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class AtSizes:
    """A transform of an image that applies several ones, one for each test size."""

    transforms: tuple[Callable[[Any], torch.Tensor], ...]

    def __call__(self, image: Any) -> list[torch.Tensor]:
        """The versions `(3, h, w)` of an image, in the order of the transforms."""
        return [transform(image) for transform in self.transforms]


def to_original(found: Mapping[str, Any], tested: Size, original: Size) -> Found:
    """Detections in an image of size `tested`, in pixels of the image that it was resized from.

    Each axis has its own ratio, since a resized image has whole pixels. Boxes are clipped to the image.
    """
    ratios = [original[axis] / tested[axis] for axis in (1, 0, 1, 0)]
    boxes = found["boxes"] * torch.tensor(ratios, dtype=found["boxes"].dtype, device=found["boxes"].device)
    return {**found, "boxes": clip_boxes_to_image(boxes, original)}


def merge_detections(parts: Sequence[Mapping[str, Any]], *, iou: float = 0.5, limit: int = 100) -> Found:
    """The best `limit` detections of one image after NMS per class over all `parts`, by falling score.

    All boxes are in pixels of the same image. A box is dropped where its IoU with a better one of its
    class is above `iou`. A single part has been through the detector's own NMS and is returned as it is.
    """
    if not parts:
        raise ValueError("there is nothing to merge; testing needs at least one size")
    if len(parts) == 1:
        return _known(parts[0])
    joined = {key: torch.cat([part[key] for part in parts]) for key in _known(parts[0])}
    # in float64, since classes are told apart by moving their boxes far from one another
    kept = batched_nms(joined["boxes"].double(), joined["scores"].double(), joined["labels"], iou)[:limit]
    return {key: value[kept] for key, value in joined.items()}


def _known(found: Mapping[str, Any]) -> Found:
    return {key: found[key] for key in _KEYS if key in found}


def detect(
    model: torch.nn.Module,
    versions: Sequence[torch.Tensor],
    original: Size,
    *,
    iou: float = 0.5,
    limit: int = 100,
) -> Found:
    """What a detector in evaluation mode finds in an image, from its versions `(3, h, w)` at the test sizes.

    `model` maps a list of images to a list of detections, as torchvision's do; each version goes through
    it alone. The result is on the CPU, in pixels of the `original` image.

    Raises `NotFinite` for boxes or scores that are not finite, which clipping and NMS would hide.
    """
    parts = []
    for version in versions:
        found = {key: value.cpu() for key, value in model([version])[0].items()}
        require_finite(found)
        # RetinaNet has an output for the background as well, which may pass a low threshold at first
        objects = found["labels"] > 0
        found = {key: value[objects] for key, value in _known(found).items()}
        parts.append(to_original(found, (version.shape[-2], version.shape[-1]), original))
    return merge_detections(parts, iou=iou, limit=limit)
