"""The `detector` section of a model: which detector a run trains on its feature pyramid."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline_src.config.base import Fraction, PositiveFloat, PositiveInt, Section

FpnLevel = Annotated[int, Field(ge=2, le=8)]
"""Number of a feature map: C2 to C5 of stages 1 to 4, C6 to C8 of the extra stages 5 to 7."""

Levels = Annotated[list[FpnLevel], Field(min_length=1)]

LEVELS = (
    "Levels of the pyramid under the FPN, in rising order: level n + 1 is stage n's output, whose "
    "nominal stride is 2**(n + 1)."
)
EXTRA = (
    "Maps above the FPN's last: `pool` takes every second pixel of it, `p6p7` two convolutions of stride 2, "
    "`none`."
)


class Anchors(Section):
    """Anchors of every FPN map."""

    scale: PositiveFloat = Field(
        default=8.0, description="Side of the smallest anchor, in strides of its map."
    )
    octaves: PositiveInt = Field(
        default=1, description="Anchor sizes per map, spaced evenly (on a logarithmic scale) over one octave."
    )
    ratios: Annotated[list[PositiveFloat], Field(min_length=1)] = Field(
        default=[0.5, 1.0, 2.0], description="Height / width of the anchors, at equal area."
    )
    strides: Literal["inferred", "nominal"] = Field(
        default="inferred",
        description="Distance of neighbouring anchors: `inferred` from the sizes of image and map, as in "
        "torchvision, which is off where the stride does not divide the padded image; or the map's "
        "`nominal` stride.",
    )


class RetinaAnchors(Anchors):
    """Anchors of every FPN map, as dense as RetinaNet's."""

    scale: PositiveFloat = Field(
        default=4.0, description="Side of the smallest anchor, in strides of its map."
    )
    octaves: PositiveInt = Field(
        default=3, description="Anchor sizes per map, spaced evenly (on a logarithmic scale) over one octave."
    )


class Proposals(Section):
    """Region proposal network."""

    pre_nms_train: PositiveInt = Field(default=2000, description="Boxes per level before NMS, in training.")
    post_nms_train: PositiveInt = Field(default=2000, description="Proposals per image, in training.")
    pre_nms_test: PositiveInt = Field(default=1000, description="Boxes per level before NMS, in evaluation.")
    post_nms_test: PositiveInt = Field(default=1000, description="Proposals per image, in evaluation.")
    nms_iou: Fraction = Field(default=0.7, description="IoU from which NMS drops the lower of two boxes.")
    positive_iou: Fraction = Field(default=0.7, description="IoU from which an anchor is positive.")
    negative_iou: Fraction = Field(default=0.3, description="IoU below which an anchor is negative.")
    samples: PositiveInt = Field(default=256, description="Anchors per image in the losses.")
    positive_fraction: Fraction = Field(default=0.5, description="At most this share of them is positive.")

    @model_validator(mode="after")
    def _consistent(self) -> "Proposals":
        _check_ious(self.positive_iou, self.negative_iou)
        return self


class Roi(Section):
    """Second stage: pooling of the proposals' regions, and the layers on them."""

    levels: Levels = Field(
        default=[2, 3, 4, 5], description="FPN levels that regions are pooled from, without a gap."
    )
    size: PositiveInt = Field(default=7, description="Side of the pooled region.")
    sampling_ratio: PositiveInt = Field(default=2, description="RoIAlign's samples per bin and axis.")
    channels: PositiveInt = Field(default=1024, description="Width of the two fully connected layers.")
    samples: PositiveInt = Field(default=512, description="Proposals per image in the losses.")
    positive_fraction: Fraction = Field(default=0.25, description="At most this share of them is positive.")


class Detections(Section):
    """Which detections of an image remain."""

    score: Fraction = Field(default=0.05, description="Detections at or below this score are dropped.")
    nms_iou: Fraction = Field(
        default=0.5, description="IoU above which NMS drops the lower of two boxes of a class."
    )
    detections: PositiveInt = Field(default=100, description="Detections per image, the best ones.")


class CascadeStage(Section):
    """One stage of a cascade."""

    iou: Fraction = Field(description="IoU from which a box is positive.")
    loss_weight: PositiveFloat = Field(description="Weight of the stage's losses.")
    box_weights: Annotated[list[PositiveFloat], Field(min_length=4, max_length=4)] = Field(
        description="Factors of the regression targets of x, y, width and height: the inverse of their "
        "standard deviations."
    )


class _Detector(Section):
    """What all detectors have."""

    fpn_channels: PositiveInt = Field(default=256, description="Channels of the FPN and of the heads on it.")
    frozen_stages: Annotated[int, Field(ge=0, le=4)] | None = Field(
        default=1,
        description="Stages of the backbone that do not learn: 0 is the stem alone, 1 adds stage 1, and so "
        "on; null: none.",
    )
    frozen_norm: bool = Field(
        default=True,
        description="Fix every BN of the backbone, affine values included; BN that a pyramid adds learns.",
    )
    test: Detections = Field(
        default_factory=Detections, description="Which detections of an image remain, in evaluation."
    )


class _RegionDetector(_Detector):
    """What detectors with region proposals have."""

    levels: Levels = Field(default=[2, 3, 4, 5], description=LEVELS)
    extra: Literal["none", "pool", "p6p7"] = Field(default="pool", description=EXTRA)
    anchors: Anchors = Field(default_factory=Anchors, description="Anchors of the proposals.")
    proposals: Proposals = Field(default_factory=Proposals, description="Region proposal network.")
    roi: Roi = Field(
        default_factory=Roi, description="Pooling of the proposals' regions, and the layers on them."
    )


class FasterRcnnDetector(_RegionDetector):
    """Faster R-CNN with FPN; by default torchvision's."""

    kind: Literal["faster_rcnn"] = Field(description="Faster R-CNN with FPN.")
    iou: Fraction = Field(default=0.5, description="IoU from which a proposal is positive.")


class CascadeRcnnDetector(_RegionDetector):
    """Cascade R-CNN with FPN and class-agnostic regression (Cai and Vasconcelos)."""

    kind: Literal["cascade_rcnn"] = Field(description="Cascade R-CNN with FPN.")
    stages: Annotated[list[CascadeStage], Field(min_length=1)] = Field(
        default=[
            CascadeStage(iou=0.5, loss_weight=1.0, box_weights=[10.0, 10.0, 5.0, 5.0]),
            CascadeStage(iou=0.6, loss_weight=0.5, box_weights=[20.0, 20.0, 10.0, 10.0]),
            CascadeStage(iou=0.7, loss_weight=0.25, box_weights=[30.0, 30.0, 15.0, 15.0]),
        ],
        description="The stages, each of which refines the boxes of the one before.",
    )
    beta: PositiveFloat = Field(
        default=1.0, description="Where the smooth L1 loss of the box offsets turns from square to linear."
    )
    average: Literal["scores", "logits"] = Field(
        default="scores",
        description="What is averaged over the stages in evaluation: probabilities or logits.",
    )


class RetinaNetDetector(_Detector):
    """RetinaNet; by default torchvision's."""

    kind: Literal["retinanet"] = Field(description="RetinaNet.")
    levels: Levels = Field(default=[3, 4, 5], description=LEVELS)
    extra: Literal["none", "pool", "p6p7"] = Field(default="p6p7", description=EXTRA)
    anchors: RetinaAnchors = Field(default_factory=RetinaAnchors, description="Anchors of every map.")
    positive_iou: Fraction = Field(default=0.5, description="IoU from which an anchor is positive.")
    negative_iou: Fraction = Field(default=0.4, description="IoU below which an anchor is negative.")
    candidates: PositiveInt = Field(default=1000, description="Boxes per level before NMS, in evaluation.")

    @model_validator(mode="after")
    def _consistent(self) -> "RetinaNetDetector":
        _check_ious(self.positive_iou, self.negative_iou)
        return self


DetectorSpec = FasterRcnnDetector | RetinaNetDetector | CascadeRcnnDetector


def _check_ious(positive: float, negative: float) -> None:
    if negative > positive:
        raise ValueError(f"negative_iou {negative:g} is above positive_iou {positive:g}; use at most that")
