"""From a run's resolved model section to its feature pyramid: the backbone, and what wraps it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_src.components import load
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.options import from_json


def build_pyramid(
    model: Mapping[str, Any], levels: Iterable[int], weights: str | Path | None = None
) -> FeaturePyramid:
    """The feature pyramid of a resolved `model` section that gives `levels`.

    `weights`: a safetensors file for the backbone, or None for a random start (the caller seeds torch).
    Raises `InputError` for a combination that cannot be built and for weights that do not fit.
    """
    wanted = sorted(set(levels))
    section = model["backbone"]
    pyramid, options = None, None
    backbone_levels = wanted
    if model["pyramid"] is not None:
        pyramid, options = component_of("pyramid", model["pyramid"])
        backbone_levels = pyramid.backbone_levels(options, wanted)
    backbone = load(f"backbone.{section['family']}")(
        section["timm"],
        args=section["args"],
        output_stride=section["output_stride"],
        out_norm=section["out_norm"],
        out_levels=backbone_levels,
        weights_path=weights,
    )
    return backbone if pyramid is None else pyramid(backbone, out_levels=wanted, **vars(options))


def component_of(kind: str, section: Mapping[str, Any]) -> tuple[Any, Any]:
    """The class of a component and its options, of a section with the `kind` that names it."""
    found = load(f"{kind}.{section['kind']}")
    return found, from_json(found.Options, {key: value for key, value in section.items() if key != "kind"})
