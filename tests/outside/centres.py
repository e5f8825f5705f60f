"""A detector of a user's own, of nobody's parts: every cell of one map says a class and a box around it."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_src.models.detectors.boxes import BatchImages
from pipeline_src.models.detectors.detector import Detector, Work
from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import DetectorOptions
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.options import checked


@dataclass(frozen=True)
class CentresOptions(DetectorOptions):
    """One box for every cell of the finest map."""


class Centres(nn.Module, Detector):
    """Classes and half sides of boxes by a 1x1 convolution on the finest map of an FPN."""

    Options = CentresOptions

    def __init__(self, pyramid: FeaturePyramid, num_classes: int, **options: Any) -> None:
        super().__init__()
        chosen = checked(CentresOptions, **options)
        self.backbone = PyramidWithFPN(pyramid, chosen.levels, chosen.fpn_channels, "none")
        self.cells = nn.Conv2d(chosen.fpn_channels, num_classes + 2, 1)
        self.num_classes, self.test, self.batch = num_classes, chosen.test, BatchImages()

    def heads(self) -> list[nn.Module]:
        """The convolution."""
        return [self.cells]

    def work(self, maps: list[Tensor], proposals: int) -> Work:
        """The convolution on the finest map."""
        return {"cells": [(self.cells, maps[0])]}

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """Losses in training, in evaluation the boxes of the best cells."""
        batch = self.batch(images)[0].tensors
        stride = self.backbone.strides[0]
        found = self.cells(next(iter(self.backbone(batch).values())))
        logits, sides = found.split([self.num_classes, 2], dim=1)
        if self.training:
            wanted = torch.zeros_like(logits[:, 0], dtype=torch.int64)
            for number, target in enumerate(targets or []):
                x, y = ((target["boxes"][:, :2] + target["boxes"][:, 2:]) / 2 / stride).long().unbind(1)
                wanted[number, y, x] = target["labels"]
            return {"loss_class": F.cross_entropy(logits, wanted), "loss_side": sides.square().mean()}
        return [self._boxes(*one, stride, image.shape[1:]) for *one, image in zip(logits, sides, images)]

    def _boxes(self, logits: Tensor, sides: Tensor, stride: int, size: torch.Size) -> dict[str, Tensor]:
        scores, labels = logits.softmax(0)[1:].max(0)
        best = scores.flatten().topk(min(self.test.detections, scores.numel()))
        y, x = best.indices // scores.shape[1], best.indices % scores.shape[1]
        half = stride * sides.flatten(1)[:, best.indices].exp().T
        centre = (torch.stack([x, y], 1) + 0.5) * stride
        boxes = torch.cat([centre - half, centre + half], 1)
        limits = boxes.new_tensor([size[1], size[0]] * 2)
        return {
            "boxes": boxes.clamp(min=0).minimum(limits),
            "labels": labels.flatten()[best.indices] + 1,
            "scores": best.values,
        }
