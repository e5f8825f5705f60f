"""What a detector costs, counted: parameters, and FLOPs per part at 1,000 proposals, without NMS.

FLOPs of a detector depend on what it finds, so a convention is needed: one image, padded to a multiple
of 32 as the detector pads it, and `PROPOSALS` regions in every stage behind the proposals.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from pipeline_src.models.detectors.build import build_detector
from pipeline_src.profiling.flops import count_flops
from pipeline_src.profiling.parameter_count import count_parameters

PROPOSALS = 1000
"""Regions in an image that the second stage works on (MMDetection's and torchvision's number in testing)."""

PAD = 32


def describe_detector(model: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Parameters and FLOPs of one image of `size` (height, width) of a resolved section with a detector.

    Returns {"parameters", "flops", "crop", "parts": {"backbone" | "neck" | "rpn" | "roi_heads" | "head":
    {"parameters", "flops"}}, "levels", "channels", "strides"}: `backbone` with what a pyramid adds to it,
    `head` of a one-stage detector. Parameters include frozen ones; a frozen BN has buffers instead.
    """
    with torch.device("meta"):
        detector = build_detector(model)
        image = torch.empty(1, 3, *(-(-side // PAD) * PAD for side in size))
        names = ("backbone", "neck", *(("rpn", "roi_heads") if _two_stages(detector) else ("head",)))
        flops = dict(zip(names, _flops(detector, image), strict=True))
    backbone: Any = detector.backbone
    modules = {"backbone": backbone.pyramid, "neck": backbone.fpn}
    modules |= {name: getattr(detector, name) for name in names[2:]}
    parts = {name: {"parameters": count_parameters(modules[name]), "flops": flops[name]} for name in modules}
    return {
        "parameters": count_parameters(detector),
        "flops": sum(flops.values()),
        "crop": list(size),
        "parts": parts,
        "levels": list(backbone.levels),
        "channels": [backbone.out_channels] * len(backbone.strides),
        "strides": list(backbone.strides),
    }


def _flops(detector: Any, image: Tensor) -> list[int]:
    """Of backbone, neck, and the RPN and the second stage or the only head."""
    pyramid, fpn = detector.backbone.pyramid, detector.backbone.fpn
    with torch.no_grad():
        named = dict(zip(pyramid.levels, pyramid.eval()(image), strict=True))
        maps = {str(level): named[level] for level in detector.backbone.levels}
        fused = list(fpn.eval()(maps).values())
    counted = [count_flops(pyramid, image), count_flops(fpn, maps)]
    if not _two_stages(detector):
        return [*counted, count_flops(detector.head, fused)]
    heads = getattr(detector.roi_heads, "stages", [detector.roi_heads])
    return [
        *counted,
        count_flops(detector.rpn.head, fused),
        sum(_stage_flops(stage, detector.backbone.out_channels) for stage in heads),
    ]


def _stage_flops(stage: Any, channels: int) -> int:
    side = stage.box_roi_pool.output_size[0]
    regions = torch.empty(PROPOSALS, channels, side, side)
    return count_flops(nn.Sequential(stage.box_head, stage.box_predictor), regions)


def _two_stages(detector: nn.Module) -> bool:
    return isinstance(detector, GeneralizedRCNN)
