"""Faster R-CNN with FPN (Ren et al.; Lin et al.) on any feature pyramid, of torchvision's parts."""

from collections.abc import Sequence

from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads

from pipeline_src.models.detectors.boxes import BatchImages, FullPrecisionBoxCoder
from pipeline_src.models.detectors.fpn import PyramidWithFPN, roi_pool
from pipeline_src.models.detectors.options import AnchorOptions, DetectionOptions, ProposalOptions, RoiOptions
from pipeline_src.models.detectors.proposals import region_proposal_network
from pipeline_src.models.pyramid import FeaturePyramid

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def faster_rcnn(
    pyramid: FeaturePyramid,
    num_classes: int,
    *,
    levels: Sequence[int] = (2, 3, 4, 5),
    fpn_channels: int = 256,
    extra: str = "pool",
    anchors: AnchorOptions = AnchorOptions(),  # noqa: B008
    proposals: ProposalOptions = ProposalOptions(),  # noqa: B008
    roi: RoiOptions = RoiOptions(),  # noqa: B008
    iou: float = 0.5,
    test: DetectionOptions = DetectionOptions(),  # noqa: B008
) -> GeneralizedRCNN:
    """Faster R-CNN on an FPN of `levels` of `pyramid`; `num_classes` counts the background, class 0.

    Called as torchvision's: a list of normalised images `(3, H_i, W_i)` and, in training, targets with
    `boxes` `(n, 4)` (x1, y1, x2, y2 in pixels) and `labels` `(n,)` of 1 to `num_classes` - 1. In training it
    gives the losses `loss_objectness`, `loss_rpn_box_reg`, `loss_classifier` and `loss_box_reg`, in
    evaluation `boxes`, `labels` and `scores` per image, best first. A proposal is positive from `iou` on.
    With the defaults it is torchvision's `fasterrcnn_resnet50_fpn`, without its resize and normalisation.
    Raises `InputError` for levels that do not fit.
    """
    backbone = PyramidWithFPN(pyramid, levels, fpn_channels, extra)
    rpn = region_proposal_network(backbone, anchors, proposals)
    pool = roi_pool(backbone, roi)
    heads = RoIHeads(
        pool,
        TwoMLPHead(fpn_channels * roi.size**2, roi.channels),
        FastRCNNPredictor(roi.channels, num_classes),
        fg_iou_thresh=iou,
        bg_iou_thresh=iou,
        batch_size_per_image=roi.samples,
        positive_fraction=roi.positive_fraction,
        bbox_reg_weights=BOX_WEIGHTS,
        score_thresh=test.score,
        nms_thresh=test.nms_iou,
        detections_per_img=test.detections,
    )
    heads.box_coder = FullPrecisionBoxCoder(BOX_WEIGHTS)
    return GeneralizedRCNN(backbone, rpn, heads, BatchImages())
