"""The `recipes` section: how a network is trained and how a trained one is evaluated."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline_src.config.base import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    Pair,
    PositiveFloat,
    PositiveInt,
    Section,
)


class Sgd(Section):
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = Field(description="torch.optim.SGD.")
    lr: PositiveFloat = Field(description="Base learning rate.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="Momentum.")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="L2 penalty on all parameters.")
    nesterov: bool = Field(default=False, description="Nesterov momentum.")


class AdamW(Section):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = Field(description="torch.optim.AdamW.")
    lr: PositiveFloat = Field(description="Base learning rate.")
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = Field(
        default=[0.9, 0.999], description="Decay rates of both moments."
    )
    weight_decay: NonNegativeFloat = Field(default=0.01, description="Decoupled weight decay.")


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


class RandomResize(Section):
    """Random resizing that keeps the aspect ratio."""

    ratio: Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)] = Field(
        description="Smallest and largest factor."
    )

    @model_validator(mode="after")
    def _in_order(self) -> "RandomResize":
        if self.ratio[0] > self.ratio[1]:
            raise ValueError(f"ratio {self.ratio}: the smallest comes first")
        return self


class Augment(Section):
    """Training transforms, in this order."""

    resize: RandomResize | None = Field(default=None, description="Random resizing; null: none.")
    crop: Pair = Field(description="Height and width of the random crop; smaller images are padded.")
    flip: Fraction = Field(default=0.5, description="Probability of a horizontal flip.")


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
    augment: Augment = Field(description="Training transforms.")
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

    mode: Literal["whole"] = Field(default="whole", description="`whole`: the whole image at once.")
    overlays: NonNegativeInt = Field(
        default=4, description="Validation images whose predictions are kept as pictures."
    )
