"""Image and boxes to training sample: resize, flip, normalise, each drawing from one generator.

The sizes are those of torchvision's `GeneralizedRCNNTransform`, and boxes follow the size that the image
really gets, axis by axis. Images stay lists: the detector pads them to a batch, with the 0 of the
normalised image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from pipeline_src.data.resize_normalise import normalise, resize_image
from pipeline_src.errors import InputError

if TYPE_CHECKING:
    from pipeline_src.data.detection.transform_options import DetectionAugment


def resized_size(size: tuple[int, int], scale: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of an image of `size` whose short side becomes `scale[1]`, or whose long side becomes
    `scale[0]` where the short one would make it longer; rounded down, as torchvision's detectors do.
    """
    factor = min(scale[1] / min(size), scale[0] / max(size))
    return max(1, int(size[0] * factor)), max(1, int(size[1] * factor))


def resize_boxes(boxes: Tensor, size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    """Borders xyxy `(n, 4)` of an image of `size` (height, width) after it is resized to `new_size`.

    With the sizes exchanged, it takes detections back to the original image.
    """
    across, down = new_size[1] / size[1], new_size[0] / size[0]
    return boxes * boxes.new_tensor([across, down, across, down])


def resize_masks(masks: Tensor, new_size: tuple[int, int]) -> Tensor:
    """Masks `(n, H, W)` uint8 as `(n, h, w)` of `new_size`, by nearest neighbour as in torchvision."""
    if not len(masks):
        return masks.new_zeros((0, *new_size))
    return interpolate(masks[:, None].float(), size=new_size)[:, 0].to(masks.dtype)


def flip_boxes(boxes: Tensor, width: int) -> Tensor:
    """Borders xyxy `(n, 4)` after the image of `width` pixels is mirrored left and right."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


@dataclass(frozen=True)
class DetectionTrainTransform:
    """Resize to one of `scales` (long side, short side), mirror with probability `flip`, normalise."""

    scales: tuple[tuple[int, int], ...]
    flip: float
    mean: Sequence[float]
    std: Sequence[float]

    @classmethod
    def of(
        cls, augment: "DetectionAugment", mean: Sequence[float], std: Sequence[float]
    ) -> "DetectionTrainTransform":
        """From a recipe's options and the backbone's normalisation.

        Raises `InputError` without a scale, or for one that is not (long, short).
        """
        return cls(_scales(augment.scales), augment.flip, mean, std)

    def __call__(
        self, image: Tensor, target: dict[str, Tensor], rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Image uint8 `(3, H, W)` to float32 `(3, h, w)`, and what is known of its objects in that.

        `boxes (n, 4)` and, where there are such, `masks (n, H, W)` uint8 follow the image; the rest stays.
        """
        size = (image.shape[-2], image.shape[-1])
        # both are always drawn, so that neither setting changes what the other draws
        scale = self.scales[int(rng.integers(len(self.scales)))]
        flipped = rng.random() < self.flip
        new_size = resized_size(size, scale)
        image = resize_image(image, new_size)
        moved = {**target, "boxes": resize_boxes(target["boxes"], size, new_size)}
        if "masks" in target:
            moved["masks"] = resize_masks(target["masks"], new_size)
        if flipped:
            image, moved["boxes"] = F.horizontal_flip(image), flip_boxes(moved["boxes"], new_size[1])
            if "masks" in target:
                moved["masks"] = moved["masks"].flip(-1)
        return normalise(image, self.mean, self.std), _with_area(moved)


def _with_area(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """The objects whose boxes still have area; what is known of the whole image stays."""
    boxes = target["boxes"]
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if bool(kept.all()):
        return target
    return {name: value[kept] if name in PER_OBJECT else value for name, value in target.items()}


PER_OBJECT = ("boxes", "labels", "area", "iscrowd", "difficult", "masks")
"""What a target has of every object."""


@dataclass(frozen=True)
class DetectionEvalTransform:
    """Resize to `scale` (long side, short side) and normalise; ground truth stays in original pixels."""

    scale: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]

    @classmethod
    def of(
        cls, scale: Sequence[int], mean: Sequence[float], std: Sequence[float]
    ) -> "DetectionEvalTransform":
        """With the backbone's normalisation; an `InputError` for a scale that is not (long, short)."""
        return cls(_scales([scale])[0], mean, std)

    def __call__(self, image: Tensor) -> Tensor:
        """Image uint8 `(3, H, W)` to float32 `(3, h, w)`."""
        size = resized_size((image.shape[-2], image.shape[-1]), self.scale)
        return normalise(resize_image(image, size), self.mean, self.std)


def _scales(scales: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    if not scales:
        raise InputError("scales: is empty; give at least one [long side, short side]")
    for scale in scales:
        if len(scale) != 2 or not 1 <= scale[1] <= scale[0]:
            raise InputError(
                f"scales: {list(scale)} is not [long side, short side]; use for example [1333, 800]"
            )
    return tuple((int(scale[0]), int(scale[1])) for scale in scales)
