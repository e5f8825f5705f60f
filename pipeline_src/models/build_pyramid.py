"""From a run's resolved model section to its feature pyramid: the backbone, and what wraps it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_src.components import load
from pipeline_src.models.pyramid import FeaturePyramid


def build_pyramid(
    model: Mapping[str, Any], levels: Iterable[int], weights: str | Path | None = None
) -> FeaturePyramid:
    """The feature pyramid of a resolved `model` section that gives `levels`.

    `weights`: a safetensors file for the backbone, or None for a random start (the caller seeds torch).
    Raises `InputError` for a combination that cannot be built and for weights that do not fit.
    """
    backbone = model["backbone"]
    pyramid = load(f"backbone.{backbone['family']}")(
        backbone["timm"],
        args=backbone["args"],
        output_stride=backbone["output_stride"],
        out_norm=backbone["out_norm"],
        out_levels=sorted(set(levels)),
        weights_path=weights,
    )
    if model["pyramid"] is not None:
        options = dict(model["pyramid"])
        pyramid = load(f"pyramid.{options.pop('kind')}")(pyramid, **options)
    return pyramid
