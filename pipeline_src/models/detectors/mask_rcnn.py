"""Mask R-CNN with FPN (He et al.) on any feature pyramid: Faster R-CNN, and masks of its boxes."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from pipeline_src.models.detectors.boxes import BatchImages
from pipeline_src.models.detectors.detector import Work
from pipeline_src.models.detectors.faster_rcnn import FasterRCNN, FasterRCNNOptions
from pipeline_src.models.detectors.roi_align import roi_pool
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.options import PositiveInt, checked, option


@dataclass(frozen=True)
class MaskOptions:
    """The branch that draws masks."""

    size: PositiveInt = option(14, "Side of the pooled region; a mask has twice as many pixels a side.")
    layers: PositiveInt = option(4, "Convolutions of 3x3 before the mask is drawn.")
    channels: PositiveInt = option(256, "Their width.")


@dataclass(frozen=True)
class MaskRCNNOptions(FasterRCNNOptions):
    """Mask R-CNN with FPN."""

    masks: MaskOptions = option(MaskOptions(), "The branch that draws masks.")


class UnpastedMasks(BatchImages):
    """Leaves the masks of detections as they were drawn, `(n, 1, M, M)` in their boxes.

    They are pasted into the original image, once the boxes are there: pasted into the resized one and
    resized again, a border would be interpolated twice.
    """

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """`result` itself: images are not resized here."""
        return result


class MaskRCNN(FasterRCNN):
    """Mask R-CNN on an FPN of chosen levels of a pyramid.

    Targets have `masks` `(n, H, W)` of 0 and 1 as well; the loss `loss_mask` joins those of Faster R-CNN. In
    evaluation each image has `masks` `(n, 1, M, M)` too: probabilities on a grid over every box. With the
    default options it is torchvision's `maskrcnn_resnet50_fpn`, without resize, normalisation and pasting.
    """

    Options = MaskRCNNOptions
    task = "instances"

    def __init__(self, pyramid: FeaturePyramid, num_classes: int, **options: Any) -> None:
        chosen = checked(MaskRCNNOptions, **options)
        plain = {key: value for key, value in vars(chosen).items() if key != "masks"}
        super().__init__(pyramid, num_classes, **plain)
        masks = chosen.masks
        self.roi_heads.mask_roi_pool = roi_pool(self.backbone, replace(chosen.roi, size=masks.size))
        self.roi_heads.mask_head = MaskRCNNHeads(
            chosen.fpn_channels, (masks.channels,) * masks.layers, dilation=1
        )
        self.roi_heads.mask_predictor = MaskRCNNPredictor(masks.channels, masks.channels, num_classes)
        self.transform = UnpastedMasks()
        self.detections = chosen.test.detections

    def heads(self) -> list[nn.Module]:
        """Those of Faster R-CNN, and the predictor of masks."""
        return [*super().heads(), self.roi_heads.mask_predictor]

    def work(self, maps: list[Tensor], proposals: int) -> Work:
        """That of Faster R-CNN, and masks of as many boxes as an image can have detections."""
        work = super().work(maps, proposals)
        regions = maps[0].new_empty(
            self.detections, maps[0].shape[1], *self.roi_heads.mask_roi_pool.output_size
        )
        draw = nn.Sequential(self.roi_heads.mask_head, self.roi_heads.mask_predictor)
        work["roi_heads"] = [*work["roi_heads"], (draw, regions)]
        return work
