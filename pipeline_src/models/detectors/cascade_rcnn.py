"""Cascade R-CNN with FPN (Cai and Vasconcelos) on any feature pyramid, of torchvision's parts."""

from collections.abc import Sequence

from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from pipeline_src.models.detectors.boxes import BatchImages
from pipeline_src.models.detectors.cascade import CascadeRoIHeads, ClassAgnosticPredictor, cascade_stage
from pipeline_src.models.detectors.fpn import PyramidWithFPN, roi_pool
from pipeline_src.models.detectors.options import (
    CASCADE_STAGES,
    AnchorOptions,
    CascadeStageOptions,
    DetectionOptions,
    ProposalOptions,
    RoiOptions,
)
from pipeline_src.models.detectors.proposals import region_proposal_network
from pipeline_src.models.pyramid import FeaturePyramid


def cascade_rcnn(
    pyramid: FeaturePyramid,
    num_classes: int,
    *,
    levels: Sequence[int] = (2, 3, 4, 5),
    fpn_channels: int = 256,
    extra: str = "pool",
    anchors: AnchorOptions = AnchorOptions(),  # noqa: B008
    proposals: ProposalOptions = ProposalOptions(),  # noqa: B008
    roi: RoiOptions = RoiOptions(),  # noqa: B008
    stages: Sequence[CascadeStageOptions] = CASCADE_STAGES,
    beta: float = 1.0,
    average: str = "scores",
    test: DetectionOptions = DetectionOptions(),  # noqa: B008
) -> GeneralizedRCNN:
    """Cascade R-CNN on an FPN of `levels` of `pyramid`; `num_classes` counts the background, class 0.

    Called as `faster_rcnn`; every stage has its own two layers and class-agnostic predictor, and the losses
    `loss_classifier_i` and `loss_box_reg_i`. `beta` and `average`: see `CascadeRoIHeads`.
    Raises `InputError` for levels that do not fit.
    """
    backbone = PyramidWithFPN(pyramid, levels, fpn_channels, extra)
    rpn = region_proposal_network(backbone, anchors, proposals)
    pool = roi_pool(backbone, roi)
    heads = [
        cascade_stage(
            pool,
            TwoMLPHead(fpn_channels * roi.size**2, roi.channels),
            ClassAgnosticPredictor(roi.channels, num_classes),
            iou=stage.iou,
            box_weights=stage.box_weights,
            samples=roi.samples,
            positive_fraction=roi.positive_fraction,
            score=test.score,
            nms_iou=test.nms_iou,
            detections=test.detections,
        )
        for stage in stages
    ]
    weights = [stage.loss_weight for stage in stages]
    cascade = CascadeRoIHeads(heads, weights, beta=beta, average=average)
    return GeneralizedRCNN(backbone, rpn, cascade, BatchImages())
