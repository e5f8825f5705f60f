"""What a detector costs, counted: parameters, and FLOPs per part at 1,000 proposals, without NMS.

FLOPs of a detector depend on what it finds, so a convention is needed: one image, padded to a multiple
of 32 as the detector pads it, and `PROPOSALS` regions in every stage behind the proposals.
"""

from typing import Any

import torch

from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.profiling.flops import count_flops
from pipeline_src.profiling.parameter_count import count_parameters

PROPOSALS = 1000
"""Regions in an image that the second stage works on (MMDetection's and torchvision's number in testing)."""

PAD = 32


def describe_detector(model: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Parameters and FLOPs of one image of `size` (height, width) of a resolved section with a detector.

    Returns {"parameters", "flops", "crop", "parts": {"backbone" | "neck" | a part of `Detector.work`:
    {"parameters", "flops"}}, "levels", "channels", "strides"}: `backbone` with what a pyramid adds to it.
    Parameters include frozen ones; a frozen BN has buffers instead.
    """
    with torch.device("meta"):
        detector: Any = build_detector(model)
        image = torch.empty(1, 3, *(-(-side // PAD) * PAD for side in size))
        backbone = detector.backbone
        with torch.no_grad():
            named = dict(zip(backbone.pyramid.levels, backbone.pyramid.eval()(image), strict=True))
            maps = {str(level): named[level] for level in backbone.levels}
            work = detector.work(list(backbone.fpn.eval()(maps).values()), PROPOSALS)
        flops = {
            "backbone": count_flops(backbone.pyramid, image),
            "neck": count_flops(backbone.fpn, maps),
            **{name: sum(count_flops(*one) for one in calls) for name, calls in work.items()},
        }
    modules = {"backbone": backbone.pyramid, "neck": backbone.fpn}
    modules |= {name: getattr(detector, name) for name in work}
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
