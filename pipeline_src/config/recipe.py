"""The `recipes` section: how a network is trained and how a trained one is evaluated."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline_src.config.base import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    Pair,
    PositiveFloat,
    PositiveInt,
    Section,
)


class LayerDecay(Section):
    """ConvNeXt's learning rate by depth: rate^(layers + 1 - d) in the stem and all down-samplings (d = 0)
    and in the blocks of stage d (1 to 4); 1 in everything behind them."""

    rate: Annotated[float, Field(gt=0, le=1)] = Field(description="Factor of one step of depth.")
    layers: Annotated[int, Field(ge=3)] = Field(
        description="Nominal depth: 6 for ConvNeXt-T, 12 for ConvNeXt-S and -B."
    )


NoDecay = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(description="No weight decay on a parameter whose name contains one of these strings."),
]
NoDecay1d = Annotated[bool, Field(description="No weight decay on biases and other 1-D parameters.")]
DecayByLayer = Annotated[
    LayerDecay | None, Field(description="Learning rate that falls with depth, ConvNeXt only; null: none.")
]


class Sgd(Section):
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = Field(description="torch.optim.SGD.")
    lr: PositiveFloat = Field(description="Base learning rate.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="Momentum.")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="L2 penalty.")
    nesterov: bool = Field(default=False, description="Nesterov momentum.")
    no_decay: NoDecay = Field(default=[])
    no_decay_1d: NoDecay1d = False
    layer_decay: DecayByLayer = None


class AdamW(Section):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = Field(description="torch.optim.AdamW.")
    lr: PositiveFloat = Field(description="Base learning rate.")
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = Field(
        default=[0.9, 0.999], description="Decay rates of both moments."
    )
    weight_decay: NonNegativeFloat = Field(default=0.01, description="Decoupled weight decay.")
    no_decay: NoDecay = Field(default=[])
    no_decay_1d: NoDecay1d = False
    layer_decay: DecayByLayer = None


class ConstantSchedule(Section):
    """A constant learning rate."""

    kind: Literal["constant"] = Field(description="lr never changes.")


class LinearEpochSchedule(Section):
    """DFP's rule (section 3.3)."""

    kind: Literal["linear_epoch"] = Field(description="lr (1 - e/E) in epoch e of E.")
    compound: bool = Field(
        default=False,
        description="Read the printed rule literally: every epoch multiplies the last learning rate.",
    )


class PolySchedule(Section):
    """MMSegmentation's polynomial decay, per iteration."""

    kind: Literal["poly"] = Field(description="(lr - min_lr) (1 - t/T)^power + min_lr.")
    power: PositiveFloat = Field(default=0.9, description="Exponent.")
    min_lr: NonNegativeFloat = Field(default=0.0, description="Learning rate at the end.")


class StepSchedule(Section):
    """A drop at given epochs or iterations."""

    kind: Literal["step"] = Field(description="lr gamma^(milestones passed).")
    milestones: Annotated[list[PositiveInt], Field(min_length=1)] = Field(description="When it drops.")
    gamma: PositiveFloat = Field(default=0.1, description="Factor of a drop.")
    unit: Literal["epoch", "iteration"] = Field(default="epoch", description="Unit of the milestones.")


class Warmup(Section):
    """Linear warm-up, per iteration."""

    iterations: PositiveInt = Field(description="Length.")
    ratio: Fraction = Field(description="Factor on the learning rate at the first iteration.")


class Loss(Section):
    """Per-pixel cross-entropy."""

    reduction: Literal["labelled_pixels", "all_pixels", "sum"] = Field(
        default="labelled_pixels",
        description="Mean over labelled pixels, mean over all pixels (as MMSegmentation), or the sum.",
    )
    auxiliary_weight: NonNegativeFloat = Field(
        default=0.4, description="Weight of the auxiliary head's loss; of no effect without one."
    )


class RandomResize(Section):
    """Random resizing that keeps the aspect ratio."""

    ratio: Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)] = Field(
        description="Smallest and largest factor."
    )
    scale: Pair | None = Field(
        default=None,
        description="Long and short side that the image is fitted into, times the factor; "
        "null: the factor applies to the image's own size.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> "RandomResize":
        if self.ratio[0] > self.ratio[1]:
            raise ValueError(f"ratio {self.ratio}: the smallest comes first")
        if self.scale and self.scale[0] < self.scale[1]:
            raise ValueError(f"scale {self.scale}: the long side comes first")
        return self


class Augment(Section):
    """Training transforms, in this order."""

    resize: RandomResize | None = Field(default=None, description="Random resizing; null: none.")
    crop: Pair = Field(description="Height and width of the random crop; smaller images are padded.")
    max_class_share: Fraction | None = Field(
        default=None,
        description="The crop is drawn again, up to 10 times, until two classes are in it and the largest "
        "has less than this share of the labelled pixels; null: any crop.",
    )
    flip: Fraction = Field(default=0.5, description="Probability of a horizontal flip.")
    photometric: bool = Field(
        default=False,
        description="Random brightness, contrast, saturation and hue, by MMSegmentation's amounts.",
    )


class DetectionAugment(Section):
    """Training transforms of images with boxes, in this order."""

    scales: Annotated[list[Pair], Field(min_length=1)] = Field(
        description="Long and short side that an image is fitted into with its aspect kept; of several, one "
        "is drawn for each image."
    )
    flip: Fraction = Field(default=0.5, description="Probability of a horizontal flip.")
    group_by_aspect: bool = Field(
        default=True, description="Batches of images that are all upright or all lying, to save padding."
    )
    difficult: bool = Field(default=False, description="Learn objects that VOC marks as difficult, too.")

    @model_validator(mode="after")
    def _in_order(self) -> "DetectionAugment":
        for scale in self.scales:
            if scale[0] < scale[1]:
                raise ValueError(f"scales {scale}: the long side comes first")
        return self


def _kind_of_augment(value: Any) -> str:
    boxes = "scales" in value if isinstance(value, dict) else isinstance(value, DetectionAugment)
    return "DetectionAugment" if boxes else "Augment"


AnyAugment = Annotated[
    Annotated[Augment, Tag("Augment")] | Annotated[DetectionAugment, Tag("DetectionAugment")],
    Discriminator(_kind_of_augment),
]


class Every(Section):
    """An interval of training."""

    epochs: PositiveInt | None = Field(default=None, description="In epochs.")
    iterations: PositiveInt | None = Field(default=None, description="In iterations.")

    @model_validator(mode="after")
    def _one_unit(self) -> "Every":
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("set exactly one of epochs, iterations")
        return self


class Recipe(Section):
    """One training recipe."""

    optimizer: Annotated[Sgd | AdamW, Field(discriminator="kind")] = Field(description="Optimiser.")
    schedule: Annotated[
        ConstantSchedule | LinearEpochSchedule | PolySchedule | StepSchedule, Field(discriminator="kind")
    ] = Field(description="Learning rate over time.")
    warmup: Warmup | None = Field(default=None, description="Linear warm-up; null: none.")
    epochs: PositiveInt | None = Field(default=None, description="Length in epochs.")
    iterations: PositiveInt | None = Field(default=None, description="Length in iterations.")
    batch: PositiveInt = Field(description="Samples of one optimiser step, over all ranks and micro-batches.")
    accumulate: PositiveInt = Field(default=1, description="Micro-batches of one optimiser step.")
    freeze_bn_at_epoch: NonNegativeInt | None = Field(
        default=None, description="Epoch from which batch normalisation is fixed; null: never."
    )
    loss: Loss = Field(default=Loss(), description="Training loss.")
    augment: AnyAugment = Field(
        description="Training transforms: with a crop for segmentation, with scales for detection."
    )
    amp: Literal["none", "fp16", "bf16"] = Field(default="none", description="Mixed precision.")
    clip_grad_norm: PositiveFloat | None = Field(default=None, description="Largest gradient norm.")
    validate_every: Every | None = Field(
        default=None, description="Validation during training, for the curves; null: none."
    )
    drop_last: bool = Field(default=True, description="Drop an epoch's last short batch.")
    log_every: PositiveInt = Field(default=1, description="Iterations between two lines of log.csv.")

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("set exactly one of epochs, iterations")
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} cannot be split into {self.accumulate} micro-batches")
        if isinstance(self.schedule, LinearEpochSchedule) and self.epochs is None:
            raise ValueError("schedule linear_epoch needs a length in epochs")
        if self.epochs is not None and (self.freeze_bn_at_epoch or 0) >= self.epochs:
            raise ValueError(
                f"freeze_bn_at_epoch {self.freeze_bn_at_epoch} never comes: the last epoch is "
                f"{self.epochs - 1}; null means never"
            )
        if self.iterations is not None and self.warmup and self.warmup.iterations >= self.iterations:
            raise ValueError(
                f"a warm-up of {self.warmup.iterations} leaves nothing of {self.iterations} iterations"
            )
        return self


class Evaluation(Section):
    """How a trained network is evaluated."""

    mode: Literal["whole", "slide"] = Field(
        default="whole",
        description="`whole`: the whole image at once; `slide`: mean logits of overlapping windows.",
    )
    window: Pair | None = Field(default=None, description="Height and width of a window; for `slide` only.")
    stride: Pair | None = Field(
        default=None, description="Step from a window to the next, down and across; for `slide` only."
    )
    resize: Pair | None = Field(
        default=None,
        description="Long and short side that an image is fitted into first; null: its own size. "
        "Accuracy is counted at the own size in any case.",
    )
    scales: list[Pair] | None = Field(
        default=None,
        description="Detection: long and short side of every test size, whose detections are merged; null: "
        "the training's last scale.",
    )
    overlays: NonNegativeInt = Field(
        default=4, description="Validation images whose predictions are kept as pictures."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Evaluation":
        if self.resize and self.resize[0] < self.resize[1]:
            raise ValueError(f"resize {self.resize}: the long side comes first")
        if self.mode == "whole" and (self.window or self.stride):
            raise ValueError("mode whole has no window and no stride; set both to null, or mode to slide")
        if self.mode == "slide":
            if not self.window or not self.stride:
                raise ValueError("mode slide needs window and stride, each [height, width]")
            if self.stride[0] > self.window[0] or self.stride[1] > self.window[1]:
                raise ValueError(
                    f"stride {self.stride} leaves gaps between windows of {self.window}; it may not be larger"
                )
        return self
