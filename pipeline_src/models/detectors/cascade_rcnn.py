"""Cascade R-CNN with FPN (Cai and Vasconcelos) on any feature pyramid, of torchvision's parts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from pipeline_src.models.detectors.boxes import BatchImages
from pipeline_src.models.detectors.cascade_stages import (
    CascadeRoIHeads,
    ClassAgnosticPredictor,
    cascade_stage,
)
from pipeline_src.models.detectors.detector import Detector, RegionDetector
from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import RegionDetectorOptions, check_roi_levels
from pipeline_src.models.detectors.proposals import region_proposal_network
from pipeline_src.models.detectors.roi_align import roi_pool
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.options import REQUIRED, Bounds, Fraction, PositiveFloat, checked, option


@dataclass(frozen=True)
class CascadeStageOptions:
    """One stage of a cascade."""

    iou: Fraction = option(REQUIRED, "IoU from which a box is positive.")
    loss_weight: PositiveFloat = option(REQUIRED, "Weight of the stage's losses.")
    box_weights: Annotated[list[PositiveFloat], Bounds(min_length=4, max_length=4)] = option(
        REQUIRED,
        "Factors of the regression targets of x, y, width and height: the inverse of their standard "
        "deviations.",
    )


CASCADE_STAGES = (
    CascadeStageOptions(iou=0.5, loss_weight=1.0, box_weights=[10.0, 10.0, 5.0, 5.0]),
    CascadeStageOptions(iou=0.6, loss_weight=0.5, box_weights=[20.0, 20.0, 10.0, 10.0]),
    CascadeStageOptions(iou=0.7, loss_weight=0.25, box_weights=[30.0, 30.0, 15.0, 15.0]),
)
"""Cai and Vasconcelos, Cascade R-CNN: IoU 0.5, 0.6, 0.7, with ever finer regression targets."""


@dataclass(frozen=True)
class CascadeRCNNOptions(RegionDetectorOptions):
    """Cascade R-CNN with FPN."""

    stages: list[CascadeStageOptions] = option(
        list(CASCADE_STAGES),
        "The stages, each of which refines the boxes of the one before.",
        min_length=1,
    )
    beta: PositiveFloat = option(
        1.0, "Where the smooth L1 loss of the box offsets turns from square to linear."
    )
    average: Literal["scores", "logits"] = option(
        "scores", "What is averaged over the stages in evaluation: probabilities or logits."
    )


class CascadeRCNN(GeneralizedRCNN, RegionDetector):
    """Cascade R-CNN with class-agnostic regression on an FPN of chosen levels of a pyramid.

    Every stage has its own two layers and predictor, and the losses `loss_classifier_i` and `loss_box_reg_i`.
    Raises `InputError` for levels that do not fit.
    """

    Options = CascadeRCNNOptions

    def __init__(self, pyramid: FeaturePyramid, num_classes: int, **options: Any) -> None:
        chosen = checked(CascadeRCNNOptions, **options)
        roi, test = chosen.roi, chosen.test
        backbone = PyramidWithFPN(pyramid, chosen.levels, chosen.fpn_channels, chosen.extra)
        rpn = region_proposal_network(backbone, chosen.anchors, chosen.proposals)
        pool = roi_pool(backbone, roi)
        heads = [
            cascade_stage(
                pool,
                TwoMLPHead(chosen.fpn_channels * roi.size**2, roi.channels),
                ClassAgnosticPredictor(roi.channels, num_classes),
                iou=stage.iou,
                box_weights=stage.box_weights,
                samples=roi.samples,
                positive_fraction=roi.positive_fraction,
                score=test.score,
                nms_iou=test.nms_iou,
                detections=test.detections,
            )
            for stage in chosen.stages
        ]
        weights = [stage.loss_weight for stage in chosen.stages]
        cascade = CascadeRoIHeads(heads, weights, beta=chosen.beta, average=chosen.average)
        super().__init__(backbone, rpn, cascade, BatchImages())

    def stages(self) -> list[Any]:
        """Those of the cascade."""
        return list(self.roi_heads.stages)

    @staticmethod
    def check(
        options: CascadeRCNNOptions, available: Collection[int], freezable: Sequence[Sequence[str]]
    ) -> None:
        """As all detectors, and the levels that regions are pooled from."""
        Detector.check(options, available, freezable)
        check_roi_levels(options.roi.levels, options.levels)
