"""RetinaNet (Lin et al.) on chosen levels of any feature pyramid, torchvision's."""

from collections.abc import Sequence

from torchvision.models.detection.retinanet import RetinaNet

from pipeline_src.models.detectors.boxes import BatchImages, FullPrecisionBoxCoder, anchor_generator
from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import AnchorOptions, DetectionOptions
from pipeline_src.models.pyramid import FeaturePyramid


def retinanet(
    pyramid: FeaturePyramid,
    num_classes: int,
    *,
    levels: Sequence[int] = (3, 4, 5),
    fpn_channels: int = 256,
    extra: str = "p6p7",
    anchors: AnchorOptions = AnchorOptions(scale=4.0, octaves=3),  # noqa: B008
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    candidates: int = 1000,
    test: DetectionOptions = DetectionOptions(),  # noqa: B008
) -> RetinaNet:
    """RetinaNet on an FPN of `levels` of `pyramid`; `num_classes` counts the background, class 0.

    Called as `faster_rcnn`; its losses are `classification` and `bbox_regression`. An anchor is positive from
    `positive_iou` on and negative below `negative_iou`. `candidates`: boxes per level that enter NMS.
    With the defaults it is torchvision's `retinanet_resnet50_fpn` with 100 detections instead of 300,
    without its resize and normalisation.
    Raises `InputError` for levels that do not fit.
    """
    backbone = PyramidWithFPN(pyramid, levels, fpn_channels, extra)
    network = RetinaNet(
        backbone,
        num_classes,
        anchor_generator=anchor_generator(backbone.strides, anchors),
        score_thresh=test.score,
        nms_thresh=test.nms_iou,
        detections_per_img=test.detections,
        fg_iou_thresh=positive_iou,
        bg_iou_thresh=negative_iou,
        topk_candidates=candidates,
    )
    network.transform = BatchImages()
    network.box_coder = FullPrecisionBoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
    return network
