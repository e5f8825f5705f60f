"""From a resolved model section with a `detector` to a detector: backbone, then pyramid, then detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pipeline_src.components import load
from pipeline_src.models.build_pyramid import build_pyramid, component_of
from pipeline_src.models.detectors.frozen import freeze_backbone
from pipeline_src.models.insert_merges import insert_merges


def build_detector(model: Mapping[str, Any], weights: str | Path | None = None) -> nn.Module:
    """The detector of a resolved `model` section, in torchvision's calling convention (see `Detector`).

    `num_classes` of the section counts the background, which is class 0. `weights`: a safetensors file for
    the backbone, or None for a random start (the caller seeds torch). Of the backbone, the section's
    `frozen_stages` and, with `frozen_norm`, every BN are frozen.
    Raises `InputError` for a combination that cannot be built and for weights that do not fit.
    """
    detector, options = component_of("detector", model["detector"])
    pyramid = build_pyramid(model, detector.needed_levels(options), weights)
    detector.check(options, pyramid.levels, load(f"backbone.{model['backbone']['family']}").freezable)
    freeze_backbone(pyramid, stages=options.frozen_stages, norm=options.frozen_norm)
    network = detector(pyramid, model["num_classes"], **vars(options))
    insert_merges(network, model, detector.merge_places(options))
    assert isinstance(network, nn.Module), f"{detector.__name__} is no nn.Module"
    return network
