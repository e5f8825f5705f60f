"""The region proposal network of the detectors with two or more stages, torchvision's."""

from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from pipeline_src.models.detectors.boxes import FullPrecisionBoxCoder, anchor_generator
from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import AnchorOptions, ProposalOptions


def region_proposal_network(
    backbone: PyramidWithFPN, anchors: AnchorOptions, options: ProposalOptions
) -> RegionProposalNetwork:
    """Proposals from every map of `backbone`; in training also `loss_objectness` and `loss_rpn_box_reg`."""
    generator = anchor_generator(backbone.strides, anchors)
    rpn = RegionProposalNetwork(
        generator,
        RPNHead(backbone.out_channels, generator.num_anchors_per_location()[0]),
        fg_iou_thresh=options.positive_iou,
        bg_iou_thresh=options.negative_iou,
        batch_size_per_image=options.samples,
        positive_fraction=options.positive_fraction,
        pre_nms_top_n={"training": options.pre_nms_train, "testing": options.pre_nms_test},
        post_nms_top_n={"training": options.post_nms_train, "testing": options.post_nms_test},
        nms_thresh=options.nms_iou,
    )
    rpn.box_coder = FullPrecisionBoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
    return rpn
