"""From a run's resolved model section to its feature pyramid: the backbone, and what wraps it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_src.components import load
from pipeline_src.models.pyramid import FeaturePyramid

LAST_BACKBONE_LEVEL = 5


def build_pyramid(
    model: Mapping[str, Any], levels: Iterable[int], weights: str | Path | None = None
) -> FeaturePyramid:
    """The feature pyramid of a resolved `model` section that gives `levels`.

    `weights`: a safetensors file for the backbone, or None for a random start (the caller seeds torch).
    Raises `InputError` for a combination that cannot be built and for weights that do not fit.
    """
    wanted = sorted(set(levels))
    options = model["backbone"]
    pyramid_options = dict(model["pyramid"] or {})
    kind = pyramid_options.pop("kind", None)
    backbone_levels = wanted
    if kind == "ipg":
        # Its extra stages, which give the levels above the backbone's, need the whole backbone.
        backbone_levels = sorted({min(level, LAST_BACKBONE_LEVEL) for level in wanted})
        pyramid_options["out_levels"] = wanted
    backbone = load(f"backbone.{options['family']}")(
        options["timm"],
        args=options["args"],
        output_stride=options["output_stride"],
        out_norm=options["out_norm"],
        out_levels=backbone_levels,
        weights_path=weights,
    )
    return backbone if kind is None else load(f"pyramid.{kind}")(backbone, **pyramid_options)
