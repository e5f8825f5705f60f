"""RetinaNet (Lin et al.) on chosen levels of any feature pyramid, torchvision's."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torchvision.models.detection.retinanet import RetinaNet as TorchvisionRetinaNet

from pipeline_src.models.detectors.boxes import BatchImages, FullPrecisionBoxCoder, anchor_generator
from pipeline_src.models.detectors.detector import Detector, Work
from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import (
    EXTRA,
    LEVELS,
    DetectorOptions,
    RetinaAnchorOptions,
    check_ious,
)
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.options import Fraction, Level, PositiveInt, checked, option


@dataclass(frozen=True)
class RetinaNetOptions(DetectorOptions):
    """RetinaNet."""

    levels: list[Level] = option([3, 4, 5], LEVELS, min_length=1)
    extra: Literal["none", "pool", "p6p7"] = option("p6p7", EXTRA)
    anchors: RetinaAnchorOptions = option(RetinaAnchorOptions(), "Anchors of every map.")
    positive_iou: Fraction = option(0.5, "IoU from which an anchor is positive.")
    negative_iou: Fraction = option(0.4, "IoU below which an anchor is negative.")
    candidates: PositiveInt = option(1000, "Boxes per level before NMS, in evaluation.")

    def __post_init__(self) -> None:
        check_ious(self.positive_iou, self.negative_iou)


class RetinaNet(TorchvisionRetinaNet, Detector):
    """RetinaNet on an FPN of chosen levels of a pyramid.

    Its losses are `classification` and `bbox_regression`.
    With the default options it is torchvision's `retinanet_resnet50_fpn` with 100 detections instead of 300,
    without its resize and normalisation. Raises `InputError` for levels that do not fit.
    """

    Options = RetinaNetOptions

    def __init__(self, pyramid: FeaturePyramid, num_classes: int, **options: Any) -> None:
        chosen = checked(RetinaNetOptions, **options)
        backbone = PyramidWithFPN(pyramid, chosen.levels, chosen.fpn_channels, chosen.extra)
        super().__init__(
            backbone,
            num_classes,
            anchor_generator=anchor_generator(backbone.strides, chosen.anchors),
            score_thresh=chosen.test.score,
            nms_thresh=chosen.test.nms_iou,
            detections_per_img=chosen.test.detections,
            fg_iou_thresh=chosen.positive_iou,
            bg_iou_thresh=chosen.negative_iou,
            topk_candidates=chosen.candidates,
        )
        self.transform = BatchImages()
        self.box_coder = FullPrecisionBoxCoder(weights=(1.0, 1.0, 1.0, 1.0))

    def heads(self) -> list[nn.Module]:
        """Its only one."""
        return [self.head]

    def work(self, maps: list[Tensor], proposals: int) -> Work:
        """The head on every map; there are no proposals."""
        return {"head": [(self.head, maps)]}
