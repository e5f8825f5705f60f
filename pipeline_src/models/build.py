"""From a run's resolved model section to a module: backbone, then pyramid, then decoder.

What a `kind` or `family` stands for is in the table of `pipeline_src.components`.
"""

from pathlib import Path
from typing import Any

from pipeline_src.components import load
from pipeline_src.models.segmentor import SegmentationModel


def build_model(model: dict[str, Any], weights: str | Path | None = None) -> SegmentationModel:
    """The segmentation model of a resolved `model` section, maps `(N, 3, H, W)` to `(N, num_classes, H, W)`.

    `weights`: a safetensors file for the backbone, or None for a random start (the caller seeds torch).
    Raises `InputError` for a combination that cannot be built and for weights that do not fit.
    """
    backbone_options = model["backbone"]
    decoder_options = dict(model["decoder"])
    decoder_class = load(f"decoder.{decoder_options.pop('kind')}")
    pyramid = load(f"backbone.{backbone_options['family']}")(
        backbone_options["timm"],
        args=backbone_options["args"],
        output_stride=backbone_options["output_stride"],
        out_norm=backbone_options["out_norm"],
        out_levels=decoder_class.needed_levels(decoder_options),
        weights_path=weights,
    )
    if model["pyramid"] is not None:
        pyramid_options = dict(model["pyramid"])
        pyramid = load(f"pyramid.{pyramid_options.pop('kind')}")(pyramid, **pyramid_options)
    decoder = decoder_class(pyramid.channels, model["num_classes"], **decoder_options)
    return SegmentationModel(pyramid, decoder)
