"""The `model` and `backbones` sections: which network a run trains."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline_src.config.base import (
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    Rgb,
    Section,
    Sha256,
)


class WeightsFile(Section):
    """Pretrained weights that the user brings as a file, instead of a timm tag."""

    file: str = Field(description="Path of a safetensors file; `~` and `$VARIABLE` are expanded.")
    sha256: Sha256 = Field(description="SHA-256 of the file, checked before every use.")
    source: str = Field(description="Where the weights come from; printed in the report.")
    mean: Rgb = Field(description="Per-channel mean (RGB, images in 0..1) that the weights expect.")
    std: Rgb = Field(description="Per-channel standard deviation that the weights expect.")
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
    output_stride: Literal[8, 16, 32] = Field(
        default=32, description="Stride of the last stage; 8 and 16 use dilation (ResNet, ConvNeXt)."
    )
    out_norm: bool | None = Field(
        default=None,
        description="LayerNorm on every output level; null: as MMSegmentation does for the family "
        "(yes for Swin, Twins and ConvNeXt).",
    )
    args: dict[str, Any] = Field(
        default_factory=dict,
        description="Further `timm.create_model` arguments, such as `drop_path_rate` or a miniature's "
        "`layers` and `channels`.",
    )


class DfpPyramid(Section):
    """Deep Feature Pyramid (DFP, section 3.1)."""

    kind: Literal["dfp"] = Field(description="Deep Feature Pyramid.")
    depth: Annotated[int, Field(ge=0, le=5)] = Field(
        description="How many of the backbone's last down-samplings lie in the multi-scale part: 5 is the "
        "classic image pyramid, 0 is no pyramid."
    )
    scales: Annotated[list[PositiveFloat], Field(min_length=1)] = Field(
        default=[1.0, 0.75, 0.5], description="Factors by which the map at the split is resized."
    )
    split: Literal["before_downsampling", "after_downsampling"] = Field(
        default="before_downsampling",
        description="Where the multi-scale part begins when several positions fit `depth`: immediately "
        "before its first down-sampling, or immediately after the last one outside it.",
    )
    encoder: Literal["per_branch", "shared"] = Field(
        default="per_branch", description="Whether every branch has its own encoder or all share one."
    )
    fusion: Literal["concat", "sum"] = Field(
        default="concat", description="How the encoded branches become one map."
    )


Pyramid = DfpPyramid


class FcnDecoder(Section):
    """FCN head: convolutions and a 1x1 classifier on the last level."""

    kind: Literal["fcn"] = Field(description="Fully convolutional head.")
    num_convs: NonNegativeInt = Field(
        default=2, description="3x3 convolutions before the classifier; 0 is the classifier alone."
    )
    channels: NonNegativeInt = Field(default=512, description="Channels of these convolutions.")
    concat_input: bool = Field(
        default=True, description="Concatenate the head's input with its convolutions' output."
    )
    dropout: Fraction = Field(default=0.1, description="Dropout rate before the classifier.")

    @model_validator(mode="after")
    def _consistent(self) -> "FcnDecoder":
        if self.num_convs and not self.channels:
            raise ValueError(f"{self.num_convs} convolutions need channels above 0")
        if self.concat_input and not self.num_convs:
            raise ValueError("concat_input needs num_convs above 0: without them there is nothing to add")
        return self


Decoder = FcnDecoder


class ModelSpec(Section):
    """A network: a backbone, optionally wrapped by a pyramid, under a decoder."""

    backbone: str = Field(description="Key of an entry of `backbones`.")
    pyramid: Pyramid | None = Field(
        default=None, description="Multi-scale pyramid around the backbone; null: none."
    )
    decoder: Decoder = Field(description="Decoder on top of the pyramid's levels.")
