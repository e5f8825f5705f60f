"""From a run's resolved model section to a module: backbone, then pyramid, then decoder, then auxiliary head.

What a `kind` or `family` stands for is in the table of `pipeline_src.components`.
"""

from pathlib import Path
from typing import Any

from pipeline_src.components import load
from pipeline_src.models.build_pyramid import build_pyramid, component_of
from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.insert_merges import insert_merges
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.models.segmentor import SegmentationModel


def build_segmentor(model: dict[str, Any], weights: str | Path | None = None) -> SegmentationModel:
    """The segmentation model of a resolved `model` section, maps `(N, 3, H, W)` to `(N, num_classes, H, W)`.

    `weights`: a safetensors file for the backbone, or None for a random start (the caller seeds torch).
    Raises `InputError` for a combination that cannot be built and for weights that do not fit.
    """
    decoder_class, decoder_options = component_of("decoder", model["decoder"])
    levels = decoder_class.needed_levels(decoder_options)
    auxiliary_levels: list[int] = []
    if model.get("auxiliary") is not None:
        auxiliary_class, auxiliary_options = component_of("decoder", model["auxiliary"])
        auxiliary_levels = auxiliary_class.needed_levels(auxiliary_options)
    pyramid = build_pyramid(model, {*levels, *auxiliary_levels}, weights)
    channels = dict(zip(pyramid.levels, pyramid.channels, strict=True))
    classes = model["num_classes"]
    decoder = decoder_class([channels[level] for level in levels], classes, **vars(decoder_options))
    # Last, so that a model with it starts from the same weights as one without.
    auxiliary = None
    if auxiliary_levels:
        inner = [channels[level] for level in auxiliary_levels]
        auxiliary = auxiliary_class(inner, classes, **vars(auxiliary_options))
    insert_merges(decoder, model, decoder_class.merge_places(decoder_options))
    connect_pyramid(pyramid, [decoder] if auxiliary is None else [decoder, auxiliary])
    network = SegmentationModel(pyramid, decoder, levels, auxiliary, auxiliary_levels)
    if (equalizer := model.get("equalizer")) is not None:
        names = [name for level in equalizer["concatenations"] for name in level]
        load("equalizer.structure")(network, equalizer["form"], names)
    return network


def connect_pyramid(pyramid: FeaturePyramid, heads: list[DecodeHead]) -> None:
    """Tell every concatenation that makes a map of the pyramid which convolutions of the heads read it."""
    for level in pyramid.levels:
        concatenation = pyramid.concatenation_at(level)
        if concatenation is not None:
            for head in heads:
                concatenation.connect(head.input_convolutions(level))
