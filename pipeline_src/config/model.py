"""The `model` and `backbones` sections: which network a run trains."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline_src.config.base import (
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rgb,
    Section,
    Sha256,
)
from pipeline_src.config.detector import DetectorSpec


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
        "(yes for Swin, Twins and ConvNeXt). The next stage of Twins reads the normalised map, that of the "
        "others the map before it.",
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
        "classic image pyramid, 0 is one scale; see `encoder_at_depth_0`."
    )
    scales: Annotated[list[PositiveFloat], Field(min_length=1)] = Field(
        default=[1.0, 0.75, 0.5], description="Factors by which the map at the split is resized."
    )
    split: Literal["before_downsampling", "after_downsampling"] = Field(
        default="before_downsampling",
        description="Where the multi-scale part begins when several positions fit `depth`: immediately "
        "before its first down-sampling, or immediately after the last one outside it.",
    )
    encoder: Literal["shared", "per_branch"] = Field(
        default="shared", description="Whether all branches share one encoder or each has its own."
    )
    encoder_at_depth_0: bool = Field(
        default=True,
        description="At depth 0, compress the network's last level by an encoder as at the other depths, so "
        "that only the pyramid differs; false: depth 0 is the network as it is.",
    )
    fusion: Literal["concat", "sum"] = Field(
        default="concat", description="How the encoded branches become one map."
    )


class IpgPyramid(Section):
    """Image Pyramid Guidance (IPG-Net, section 3)."""

    kind: Literal["ipg"] = Field(description="Image Pyramid Guidance.")
    fusion: Literal["sum", "product", "concat"] = Field(
        default="sum", description="How an image's feature is fused into a stage's (section 3.5)."
    )
    positions: list[Annotated[int, Field(ge=1, le=7)]] | None = Field(
        default=None,
        description="Stages after which it is fused, any set of them, [] for none; stage 1 ends level 2. "
        "null: all from 2 on that have an image (Eq. 1).",
    )
    levels: Literal[4, "stages"] = Field(
        default=4, description="Images of the pyramid: 4, for stages 1 to 4, or one for each of the `stages`."
    )
    identity_start: bool = Field(
        default=True,
        description="Begin as the identity on the backbone's features: exactly for `sum` and `concat`, by a "
        "trained scalar that begins at 0 for `product`. false: random weights, as printed.",
    )
    stages: Annotated[int, Field(ge=4, le=7)] = Field(
        default=4, description="Stages of the network; those beyond 4 have two bottlenecks each."
    )
    keep: bool = Field(
        default=False, description="Stages 5 to 7 hold the stride of stage 4, with dilation 2."
    )
    image_channels: PositiveInt | None = Field(
        default=None,
        description="The paper's C1: stage s gets a feature of C1 * 2^(s - 1) channels; null: stage 1's "
        "channels, 256 for a ResNet-50.",
    )
    stem_channels: PositiveInt = Field(
        default=64, description="Channels of the 7x7 convolution on each image."
    )
    extra_channels: PositiveInt | None = Field(
        default=None, description="Channels of stages 5 to 7; null: stage 4's, 2048 for a ResNet-50."
    )


Pyramid = DfpPyramid | IpgPyramid

ALIGN_CORNERS = (
    "Whether corner pixels keep their place in every bilinear resize of the head and of its logits; true "
    "in MMSegmentation's recipes for crops of odd size, such as 769."
)


Level = Annotated[int, Field(ge=2, le=8)]
"""Number of a feature map: C2 to C5, of nominal stride 4 to 32; C6 to C8 are of stages that IPG adds."""


class FcnDecoder(Section):
    """FCN head: convolutions and a 1x1 classifier on one level."""

    kind: Literal["fcn"] = Field(description="Fully convolutional head.")
    num_convs: NonNegativeInt = Field(
        default=2, description="3x3 convolutions before the classifier; 0 is the classifier alone."
    )
    channels: NonNegativeInt = Field(default=512, description="Channels of these convolutions.")
    concat_input: bool = Field(
        default=True, description="Concatenate the head's input with its convolutions' output."
    )
    dropout: Fraction = Field(default=0.1, description="Dropout rate before the classifier.")
    level: Level = Field(default=5, description="Level that the head reads.")
    align_corners: bool = Field(default=False, description=ALIGN_CORNERS)

    @model_validator(mode="after")
    def _consistent(self) -> "FcnDecoder":
        if self.num_convs and not self.channels:
            raise ValueError(f"{self.num_convs} convolutions need channels above 0")
        if self.concat_input and not self.num_convs:
            raise ValueError("concat_input needs num_convs above 0: without them there is nothing to add")
        return self


class PspDecoder(Section):
    """PSP head: pyramid pooling on the last level (Zhao et al., PSPNet)."""

    kind: Literal["psp"] = Field(description="Pyramid scene parsing head.")
    pool_scales: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        default=[1, 2, 3, 6], description="Sides of the grids that the map is pooled to."
    )
    channels: PositiveInt = Field(default=512, description="Channels of each grid and of the fusion.")
    dropout: Fraction = Field(default=0.1, description="Dropout rate before the classifier.")
    align_corners: bool = Field(default=False, description=ALIGN_CORNERS)


class AsppDecoder(Section):
    """ASPP head: atrous spatial pyramid pooling on the last level (DeepLabV3)."""

    kind: Literal["aspp"] = Field(description="Atrous spatial pyramid pooling head.")
    dilations: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        default=[1, 12, 24, 36], description="Rates of the 3x3 convolutions; 1 is a 1x1 convolution."
    )
    channels: PositiveInt = Field(default=512, description="Channels of each branch and of the fusion.")
    dropout: Fraction = Field(default=0.1, description="Dropout rate before the classifier.")
    align_corners: bool = Field(default=False, description=ALIGN_CORNERS)


class SepAsppDecoder(Section):
    """Separable ASPP head: ASPP on the last level, refined by level 2 (DeepLabV3+)."""

    kind: Literal["sep_aspp"] = Field(description="Depthwise separable ASPP head.")
    dilations: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        default=[1, 12, 24, 36], description="Rates of the separable 3x3 convolutions; 1 is a plain 1x1."
    )
    c1_channels: PositiveInt = Field(default=48, description="Channels that level 2 is compressed to.")
    channels: PositiveInt = Field(default=512, description="Channels of each branch and of the fusions.")
    dropout: Fraction = Field(default=0.1, description="Dropout rate before the classifier.")
    align_corners: bool = Field(default=False, description=ALIGN_CORNERS)


class UperDecoder(Section):
    """UPer head: pyramid pooling and an FPN, fused over levels 2 to 5 (Xiao et al., UPerNet)."""

    kind: Literal["uper"] = Field(description="Unified perceptual parsing head, for segmentation alone.")
    pool_scales: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        default=[1, 2, 3, 6], description="Sides of the grids that the last level is pooled to."
    )
    channels: PositiveInt = Field(default=512, description="Channels of every convolution.")
    dropout: Fraction = Field(default=0.1, description="Dropout rate before the classifier.")
    align_corners: bool = Field(default=False, description=ALIGN_CORNERS)


Decoder = FcnDecoder | PspDecoder | AsppDecoder | SepAsppDecoder | UperDecoder


class AuxiliaryHead(FcnDecoder):
    """FCN head on an inner level whose loss helps training; it does not run in inference."""

    level: Level = Field(default=4, description="Level that the head reads.")
    num_convs: NonNegativeInt = Field(
        default=1, description="3x3 convolutions before the classifier; 0 is the classifier alone."
    )
    channels: NonNegativeInt = Field(default=256, description="Channels of these convolutions.")
    concat_input: bool = Field(
        default=False, description="Concatenate the head's input with its convolutions' output."
    )


class Equalizer(Section):
    """Scale equalizers (Scale Equalization, section 3.2)."""

    form: Literal["folded", "module", "up_bn"] = Field(
        description="`folded`: divide the fusion convolution's weights by each branch's global standard "
        "deviation (the paper's Algorithm 1); `module`: normalise each branch in the forward pass by its "
        "global mean and deviation; `up_bn`: batch normalisation after the upsampling (section 3.2's "
        "costly alternative, which is not calibrated)."
    )
    concatenations: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        description="Which concatenations, such as `decoder.concat`; null: those that the paper equalises, "
        "and those of a pyramid.",
    )
    images: PositiveInt | None = Field(
        default=None,
        description="Calibrate on so many training images (whole batches); null: the whole training set.",
    )


class ModelSpec(Section):
    """A network: a backbone, optionally wrapped by a pyramid, under a decoder or a detector."""

    backbone: str = Field(description="Key of an entry of `backbones`.")
    pyramid: Pyramid | None = Field(
        default=None,
        discriminator="kind",
        description="Multi-scale pyramid around the backbone; null: none.",
    )
    decoder: Decoder | None = Field(
        default=None,
        discriminator="kind",
        description="Decoder on top of the pyramid's levels, for segmentation; null: a detector is there.",
    )
    detector: DetectorSpec | None = Field(
        default=None,
        discriminator="kind",
        description="Detector on top of the pyramid's levels, for data with boxes; null: a decoder is there.",
    )
    auxiliary: AuxiliaryHead | None = Field(
        default=None, description="Second head, for a second loss in training; null: none."
    )
    equalizer: Equalizer | None = Field(
        default=None, description="Scale equalizers at the concatenations; null: none."
    )

    @model_validator(mode="after")
    def _one_task(self) -> "ModelSpec":
        if (self.decoder is None) == (self.detector is None):
            raise ValueError("set exactly one of decoder, detector")
        if self.detector is not None and (self.auxiliary is not None or self.equalizer is not None):
            raise ValueError("auxiliary and equalizer belong to a decoder; set both to null")
        return self
