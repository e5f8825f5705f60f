"""From a resolved model section with a `detector` to a detector: backbone, then pyramid, then detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pipeline_src.components import load
from pipeline_src.models.build_pyramid import build_pyramid
from pipeline_src.models.detectors.frozen import freeze_backbone
from pipeline_src.models.detectors.options import (
    AnchorOptions,
    CascadeStageOptions,
    DetectionOptions,
    ProposalOptions,
    RoiOptions,
    check_detector,
)

OPTIONS = {
    "anchors": AnchorOptions,
    "proposals": ProposalOptions,
    "roi": RoiOptions,
    "test": DetectionOptions,
}


def build_detector(model: Mapping[str, Any], weights: str | Path | None = None) -> nn.Module:
    """The detector of a resolved `model` section, in torchvision's calling convention (see `faster_rcnn`).

    `num_classes` of the section counts the background, which is class 0. `weights`: a safetensors file for
    the backbone, or None for a random start (the caller seeds torch). Of the backbone, the section's
    `frozen_stages` and, with `frozen_norm`, every BN are frozen.
    Raises `InputError` for a combination that cannot be built and for weights that do not fit.
    """
    section = dict(model["detector"])
    family = model["backbone"]["family"]
    pyramid = build_pyramid(model, section["levels"], weights)
    check_detector(section, pyramid.levels, family)
    freeze_backbone(pyramid, family, stages=section.pop("frozen_stages"), norm=section.pop("frozen_norm"))
    build = load(f"detector.{section.pop('kind')}")
    for key, options in OPTIONS.items():
        if key in section:
            section[key] = options(**section[key])
    if "stages" in section:
        section["stages"] = [CascadeStageOptions(**stage) for stage in section["stages"]]
    return build(pyramid, model["num_classes"], **section)
