"""The stages of Cascade R-CNN (Cai and Vasconcelos, section 4) in place of torchvision's RoIHeads."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import clip_boxes_to_image

from pipeline_src.models.detectors.boxes import FullPrecisionBoxCoder

Boxes = list[Tensor]
Sizes = list[tuple[int, int]]
Targets = list[dict[str, Tensor]]


class ClassAgnosticPredictor(FastRCNNPredictor):
    """Maps `(N, in_channels)` to logits `(N, num_classes)` and offsets `(N, 4)` that all classes share."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, 4)


class CascadeStage(RoIHeads):
    """One stage: torchvision's RoIHeads with a class-agnostic predictor, taken apart into what it does."""

    def predict(
        self, features: dict[str, Tensor], proposals: Boxes, image_sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        """Logits `(N, num_classes)` and offsets `(N, 4)` of the N `proposals` of all images."""
        regions = self.box_roi_pool(features, proposals, image_sizes)
        return self.box_predictor(self.box_head(regions))

    @torch.no_grad()
    def refine(self, offsets: Tensor, proposals: Boxes, image_sizes: Sizes) -> Boxes:
        """`proposals` moved by `offsets` `(N, 4)` and clipped to their images; no gradient flows."""
        boxes = self.box_coder.decode(offsets, proposals).reshape(-1, 4)
        per_image = boxes.split([len(proposal) for proposal in proposals])
        return [clip_boxes_to_image(*pair) for pair in zip(per_image, image_sizes, strict=True)]


class CascadeRoIHeads(nn.Module):
    """Stages that each refine the boxes of the one before, trained at rising IoU.

    `loss_weights`: one per stage. `beta`: where the smooth L1 loss of the offsets turns linear.
    In training each stage samples among the refined boxes and the ground truth. In evaluation the boxes are
    those of the last stage; the scores are the mean over the stages, each on its own boxes, of the
    probabilities (`average` `scores`) or of the logits (`logits`).
    """

    def __init__(
        self,
        stages: Sequence[CascadeStage],
        loss_weights: Sequence[float],
        *,
        beta: float = 1.0,
        average: str = "scores",
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.loss_weights = tuple(loss_weights)
        self.beta = beta
        self.average = average

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: Boxes,
        image_shapes: Sizes,
        targets: Targets | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's RoIHeads: detections in evaluation, losses in training, the other one empty.

        The losses of stage i, from 1, are `loss_classifier_i` and `loss_box_reg_i`, weighted already.
        """
        if self.training:
            return [], self._losses(features, proposals, image_shapes, targets or [])
        return self._detections(features, proposals, image_shapes), {}

    def _losses(
        self, features: dict[str, Tensor], proposals: Boxes, image_sizes: Sizes, targets: Targets
    ) -> dict[str, Tensor]:
        losses = {}
        for number, (stage, weight) in enumerate(
            zip(self._stages(), self.loss_weights, strict=True), start=1
        ):
            # Ground truth joins the proposals; all are matched at the stage's IoU, and some are sampled.
            sampled, _, labels, offsets = stage.select_training_samples(proposals, targets)
            logits, predicted = stage.predict(features, sampled, image_sizes)
            classifier, box_reg = class_agnostic_loss(
                logits, predicted, torch.cat(labels), torch.cat(offsets), self.beta
            )
            losses[f"loss_classifier_{number}"] = weight * classifier
            losses[f"loss_box_reg_{number}"] = weight * box_reg
            if number < len(self.stages):
                refined = stage.refine(predicted, sampled, image_sizes)
                keep = [_worth_refining(*one) for one in zip(refined, labels, offsets, strict=True)]
                proposals = [boxes[kept] for boxes, kept in zip(refined, keep, strict=True)]
        return losses

    def _detections(
        self, features: dict[str, Tensor], proposals: Boxes, image_sizes: Sizes
    ) -> list[dict[str, Tensor]]:
        votes = []
        refined = proposals
        for stage in self._stages():
            proposals = refined
            logits, offsets = stage.predict(features, proposals, image_sizes)
            votes.append(logits if self.average == "logits" else F.softmax(logits, -1))
            refined = stage.refine(offsets, proposals, image_sizes)
        mean = torch.stack(votes).mean(0)
        # The softmax of the logarithm of probabilities gives them back.
        logits = mean if self.average == "logits" else mean.log()
        found = stage.postprocess_detections(
            logits, offsets.repeat(1, logits.shape[-1]), proposals, image_sizes
        )
        return [
            {"boxes": boxes, "labels": labels, "scores": scores}
            for boxes, scores, labels in zip(*found, strict=True)
        ]

    def _stages(self) -> list[CascadeStage]:
        return [stage for stage in self.stages if isinstance(stage, CascadeStage)]


def class_agnostic_loss(
    logits: Tensor, offsets: Tensor, labels: Tensor, targets: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of `logits` `(N, K)`, and smooth L1 of the positives' `offsets` `(N, 4)`, both over N.

    `labels` `(N,)`, 0 for background; `targets` `(N, 4)`.
    """
    count = max(1, len(labels))
    positive = torch.where(labels > 0)[0]
    classifier = F.cross_entropy(logits, labels, reduction="sum") / count
    box_reg = F.smooth_l1_loss(offsets[positive], targets[positive], beta=beta, reduction="sum") / count
    return classifier, box_reg


def cascade_stage(
    pool: nn.Module, head: nn.Module, predictor: nn.Module, *, iou: float, box_weights: Sequence[float],
    samples: int, positive_fraction: float, score: float, nms_iou: float, detections: int,
) -> CascadeStage:  # fmt: skip
    """A stage whose boxes are positive from `iou` on; `box_weights` are those of its box coder."""
    weights = tuple(box_weights)
    stage = CascadeStage(
        pool, head, predictor, iou, iou, samples, positive_fraction, weights, score, nms_iou, detections
    )
    stage.box_coder = FullPrecisionBoxCoder(weights)
    return stage


def _worth_refining(boxes: Tensor, labels: Tensor, offsets: Tensor) -> Tensor:
    """Which refined `boxes` `(N, 4)` the next stage gets: no empty ones, and none that was ground truth.

    A positive whose target offsets are 0 is the ground truth itself; it joins every stage anew, unmoved.
    """
    ground_truth = (labels > 0) & (offsets == 0).all(1)
    return (boxes[:, 2:] > boxes[:, :2]).all(1) & ~ground_truth
