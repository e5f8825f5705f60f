"""What an architecture is, without building it: parameters and FLOPs, in total and per part.

Everything happens on the meta device: no weights, no data, no memory, at any size.
"""

from typing import Any

import torch

from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.profiling.flops import count_flops_by_module
from pipeline_src.profiling.parameter_count import count_parameters


def describe_segmentor(model: dict[str, Any], crop: tuple[int, int]) -> dict[str, Any]:
    """Parameters and FLOPs (of one image of `crop` = (height, width)) of a resolved `model` section.

    Returns {"parameters", "flops", "crop", "parts": {"backbone" | "pyramid" | "decoder" | "auxiliary":
    {"parameters", "flops"}}, "levels", "channels", "strides"}; the part `pyramid` is what a fusion method
    adds to the backbone, `levels`, `channels` and `strides` are what the heads get.

    An auxiliary head counts among the parameters, as in published numbers; without one there is no such
    part. FLOPs are those of inference, where it does not run.
    """
    with torch.device("meta"):
        module = build_segmentor(model)
        image = torch.empty(1, 3, *crop)
    pyramid = module.pyramid
    prefixes = {
        "backbone": "pyramid." if pyramid.wrapped() is None else "pyramid.backbone.",
        "pyramid": "pyramid.",
        "decoder": "decoder.",
    }
    if module.auxiliary is not None:
        prefixes["auxiliary"] = "auxiliary."
    parts = {part: {"parameters": 0, "flops": 0} for part in prefixes}
    for name, flops in count_flops_by_module(module, image).items():
        parts[_part_of(name, prefixes)]["flops"] += flops
    for name, parameter in module.named_parameters():
        parts[_part_of(name, prefixes)]["parameters"] += parameter.numel()
    return {
        "parameters": count_parameters(module),
        "flops": sum(part["flops"] for part in parts.values()),
        "crop": list(crop),
        "parts": parts,
        "levels": list(pyramid.levels),
        "channels": list(pyramid.channels),
        "strides": list(pyramid.strides),
    }


def _part_of(name: str, prefixes: dict[str, str]) -> str:
    """The first part whose prefix fits; the backbone comes before the pyramid that holds it."""
    return next(part for part, prefix in prefixes.items() if f"{name}.".startswith(prefix))
