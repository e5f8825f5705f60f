"""The `model` and `backbones` sections: which network a run trains.

What a pyramid, decoder or detector can be told stands in its component (`pipeline_src/components.py`),
from which the sections here are made.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union

from pydantic import Field, create_model, model_validator

from pipeline_src.components import COMPONENTS
from pipeline_src.config.component_declarations import component
from pipeline_src.config.sections import section_of
from pipeline_src.config.strict_model import Section
from pipeline_src.models.fusion.equalizer_options import EqualizerOptions
from pipeline_src.options import Bounds, Name, PositiveFloat, Rgb, Sha256
from pipeline_src.tasks.table import TASKS

HEADS = {section: kind for task in TASKS.values() for section, kind in task.heads.items()}
"""Sections of a model that read levels of its pyramid, with the kind of their component; main ones first."""


class WeightsFile(Section):
    """Pretrained weights that the user brings as a file, instead of a timm tag."""

    file: str = Field(description="Path of a safetensors file; `~` and `$VARIABLE` are expanded.")
    sha256: Sha256 = Field(description="SHA-256 of the file, checked before every use.")
    source: str = Field(description="Where the weights come from; printed in the report.")
    mean: Rgb = Field(description="Per-channel mean (RGB, images in 0..1) that the weights expect.")
    std: Annotated[list[PositiveFloat], Bounds(min_length=3, max_length=3)] = Field(
        description="Per-channel standard deviation that the weights expect."
    )
    model_args: dict[str, Any] = Field(
        default_factory=dict, description="Further `timm.create_model` arguments that the weights need."
    )


class Backbone(Section):
    """One entry of `backbones`: a timm model with its exact weight tag."""

    timm: str = Field(
        description="timm name with its weight tag, such as `resnet50.tv_in1k`; a bare name picks timm's "
        "first tag, which changes between versions, and is refused, except beside weights of your own, "
        "which belong to no tag."
    )
    weights: Literal["pretrained", "none"] | WeightsFile = Field(
        default="pretrained",
        description="`pretrained`: the tag's weights, fetched and verified; `none`: random initialisation; "
        "or a file of your own.",
    )
    family: Name | None = Field(
        default=None,
        description="Component of kind `backbone` that runs it; null: the one of the committed table.",
    )
    output_stride: Literal[8, 16, 32] = Field(
        default=32, description="Stride of the last stage; 8 and 16 use dilation (ResNet, ConvNeXt)."
    )
    out_norm: bool | None = Field(
        default=None,
        description="LayerNorm on every output level; null: as MMSegmentation does for the family "
        "(yes for Swin, Twins and ConvNeXt). The next stage of Twins reads the normalised map, that of the "
        "others the map before it.",
    )
    args: dict[str, Any] = Field(
        default_factory=dict,
        description="Further `timm.create_model` arguments, such as `drop_path_rate` or a miniature's "
        "`layers` and `channels`.",
    )


class ModelSpec(Section):
    """A network: a backbone, optionally wrapped by a pyramid, under a decoder or a detector."""

    backbone: str = Field(description="Key of an entry of `backbones`.")
    pyramid: Any = Field(default=None, description="Multi-scale pyramid around the backbone; null: none.")
    merge: Any = Field(
        default=None,
        description="How the head merges two maps (UPerHead's and an FPN's top-down path); null: their sum.",
    )
    decoder: Any = Field(
        default=None,
        description="Decoder on top of the pyramid's levels, for segmentation; null: a detector is there.",
    )
    detector: Any = Field(
        default=None,
        description="Detector on top of the pyramid's levels, for data with boxes; null: a decoder is there.",
    )
    auxiliary: Any = Field(
        default=None, description="Second head, for a second loss in training; null: none."
    )
    equalizer: Any = Field(default=None, description="Scale equalizers at the concatenations; null: none.")

    @model_validator(mode="after")
    def _one_task(self) -> "ModelSpec":
        if (self.decoder is None) == (self.detector is None):
            raise ValueError("set exactly one of decoder, detector")
        if self.detector is not None and (self.auxiliary is not None or self.equalizer is not None):
            raise ValueError("auxiliary and equalizer belong to a decoder; set both to null")
        return self

    @property
    def head(self) -> str:
        """The section of the main head, which says what the network learns."""
        return next(name for name in HEADS if getattr(self, name) is not None)


Outside = tuple[tuple[str, str], ...]
"""Components of the user's own, of `components:`, as pairs of kind and `file.py:attribute`."""


@cache
def model_spec(outside: Outside = ()) -> type[ModelSpec]:
    """`ModelSpec` with the sections of all components, those of the user's own included."""
    known = dict(outside)
    choices = {
        "pyramid": _sections("pyramid", known),
        "merge": _sections("merge", known),
        "decoder": _sections("decoder", known),
        "detector": _sections("detector", known),
        "auxiliary": _sections("decoder", known, "Auxiliary"),
    }
    fields: dict[str, Any] = {
        name: (Union[(*sections, None)], _as_declared(name, len(sections) > 1))
        for name, sections in choices.items()
    }
    fields["equalizer"] = (section_of(EqualizerOptions) | None, _as_declared("equalizer"))
    return create_model("ModelSpec", __base__=ModelSpec, __doc__=ModelSpec.__doc__, **fields)


def kinds(family: str, outside: Mapping[str, str]) -> list[str]:
    """Names of the components of a family such as `decoder`, the user's own last."""
    return [name.split(".", 1)[1] for name in (*COMPONENTS, *outside) if name.startswith(f"{family}.")]


def _sections(family: str, outside: dict[str, str], options: str = "Options") -> list[type[Section]]:
    """The sections of all components of a family that have `options`."""
    found = {
        kind: getattr(component(f"{family}.{kind}", outside), options) for kind in kinds(family, outside)
    }
    return [section_of(declared, kind) for kind, declared in found.items() if declared is not None]


def _as_declared(name: str, several: bool = False) -> Any:
    """The field of `ModelSpec` again; of `several` sections, `kind` says which."""
    description = ModelSpec.model_fields[name].description
    return Field(default=None, discriminator="kind" if several else None, description=description)
