"""Faster R-CNN with FPN (Ren et al.; Lin et al.) on any feature pyramid, of torchvision's parts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads

from pipeline_src.models.detectors.boxes import BatchImages, FullPrecisionBoxCoder
from pipeline_src.models.detectors.detector import Detector, RegionDetector
from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import RegionDetectorOptions, check_roi_levels
from pipeline_src.models.detectors.proposals import region_proposal_network
from pipeline_src.models.detectors.roi_align import roi_pool
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.options import Fraction, checked, option

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


@dataclass(frozen=True)
class FasterRCNNOptions(RegionDetectorOptions):
    """Faster R-CNN with FPN."""

    iou: Fraction = option(0.5, "IoU from which a proposal is positive.")


class FasterRCNN(GeneralizedRCNN, RegionDetector):
    """Faster R-CNN on an FPN of chosen levels of a pyramid.

    In training it gives the losses `loss_objectness`, `loss_rpn_box_reg`, `loss_classifier` and
    `loss_box_reg`. With the default options it is torchvision's `fasterrcnn_resnet50_fpn`, without its
    resize and normalisation. Raises `InputError` for levels that do not fit.
    """

    Options = FasterRCNNOptions

    def __init__(self, pyramid: FeaturePyramid, num_classes: int, **options: Any) -> None:
        chosen = checked(FasterRCNNOptions, **options)
        roi, test = chosen.roi, chosen.test
        backbone = PyramidWithFPN(pyramid, chosen.levels, chosen.fpn_channels, chosen.extra)
        rpn = region_proposal_network(backbone, chosen.anchors, chosen.proposals)
        pool = roi_pool(backbone, roi)
        heads = RoIHeads(
            pool,
            TwoMLPHead(chosen.fpn_channels * roi.size**2, roi.channels),
            FastRCNNPredictor(roi.channels, num_classes),
            fg_iou_thresh=chosen.iou,
            bg_iou_thresh=chosen.iou,
            batch_size_per_image=roi.samples,
            positive_fraction=roi.positive_fraction,
            bbox_reg_weights=BOX_WEIGHTS,
            score_thresh=test.score,
            nms_thresh=test.nms_iou,
            detections_per_img=test.detections,
        )
        heads.box_coder = FullPrecisionBoxCoder(BOX_WEIGHTS)
        super().__init__(backbone, rpn, heads, BatchImages())

    @staticmethod
    def check(
        options: FasterRCNNOptions, available: Collection[int], freezable: Sequence[Sequence[str]]
    ) -> None:
        """As all detectors, and the levels that regions are pooled from."""
        Detector.check(options, available, freezable)
        check_roi_levels(options.roi.levels, options.levels)
