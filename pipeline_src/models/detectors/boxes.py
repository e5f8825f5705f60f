"""Boxes and images around torchvision's detectors: batches without a resize, anchors, float32 coordinates."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from pipeline_src.models.detectors.options import AnchorOptions, anchor_sizes

SIZE_DIVISIBLE = 32


class BatchImages(GeneralizedRCNNTransform):
    """Pads images `(3, H_i, W_i)` with zeros at the right and bottom to one batch whose sides 32 divides.

    torchvision's transform without its normalisation and resize: images come normalised and in their
    final size, boxes in pixels of it, and detections are given in the same pixels.
    """

    def __init__(self, size_divisible: int = SIZE_DIVISIBLE) -> None:
        super().__init__(0, 0, [0.0] * 3, [1.0] * 3, size_divisible=size_divisible)

    def normalize(self, image: Tensor) -> Tensor:
        """`image` itself."""
        return image

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, Any]:
        """`image` and `target` themselves."""
        return image, target

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size_divisible={self.size_divisible})"


class FullPrecisionBoxCoder(BoxCoder):
    """torchvision's box coder, whose decoded boxes are never in half precision.

    Under autocast the offsets are; bfloat16 coordinates above 256 would miss whole pixels.
    """

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """Boxes `(N, 4 K)` of the offsets `rel_codes` `(N, 4 K)` from `boxes` `(N, 4)`."""
        return super().decode_single(full_precision(rel_codes), boxes)


class StrideAnchorGenerator(AnchorGenerator):
    """Anchors whose distance is the map's stride, also where the stride does not divide the padded image."""

    def __init__(self, sizes: Any, aspect_ratios: Any, strides: Sequence[int]) -> None:
        super().__init__(sizes, aspect_ratios)
        self.strides = tuple(strides)

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Anchors `(A, 4)` per image, over all `feature_maps` `(N, C, H_i, W_i)` in their order."""
        self.set_cell_anchors(feature_maps[0].dtype, feature_maps[0].device)
        grids = [feature_map.shape[-2:] for feature_map in feature_maps]
        anchors = torch.cat(self.grid_anchors(grids, [[stride, stride] for stride in self.strides]))
        return [anchors for _ in image_list.image_sizes]


def anchor_generator(strides: Sequence[int], options: AnchorOptions) -> AnchorGenerator:
    """The generator of anchors on maps of `strides`, by `options`."""
    sizes = anchor_sizes(strides, options.scale, options.octaves)
    ratios = (tuple(options.ratios),) * len(sizes)
    if options.strides == "nominal":
        return StrideAnchorGenerator(sizes, ratios, strides)
    return AnchorGenerator(sizes, ratios)


def full_precision(x: Tensor) -> Tensor:
    """`x`, as float32 where it is in half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
