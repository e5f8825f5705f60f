"""What one optimiser step is told: the optimiser, micro-batches, precision and clipping. No torch."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline_src.options import REQUIRED, Bounds, NonNegativeFloat, PositiveFloat, PositiveInt, option

BelowOne = Annotated[float, Bounds(ge=0, lt=1)]


@dataclass(frozen=True)
class LayerDecay:
    """ConvNeXt's learning rate by depth: rate^(layers + 1 - d) in the stem and all down-samplings (d = 0)
    and in the blocks of stage d (1 to 4); 1 in everything behind them."""

    rate: float = option(REQUIRED, "Factor of one step of depth.", gt=0, le=1)
    layers: int = option(REQUIRED, "Nominal depth: 6 for ConvNeXt-T, 12 for ConvNeXt-S and -B.", ge=3)


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What all optimisers are told."""

    kind: str = option(REQUIRED, "Its name.")
    lr: PositiveFloat = option(REQUIRED, "Base learning rate.")
    weight_decay: NonNegativeFloat = option(0.0, "Weight decay.")
    no_decay: list[Annotated[str, Bounds(min_length=1)]] = option(
        [], "No weight decay on a parameter whose name contains one of these strings."
    )
    no_decay_1d: bool = option(False, "No weight decay on biases and other 1-D parameters.")
    layer_decay: LayerDecay | None = option(
        None, "Learning rate that falls with depth, ConvNeXt only; null: none."
    )


@dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = option(REQUIRED, "torch.optim.SGD.")
    weight_decay: NonNegativeFloat = option(0.0, "L2 penalty.")
    momentum: BelowOne = option(0.9, "Momentum.")
    nesterov: bool = option(False, "Nesterov momentum; needs a momentum above 0.")

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov true needs a momentum above 0; use nesterov false without one")


@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = option(REQUIRED, "torch.optim.AdamW.")
    weight_decay: NonNegativeFloat = option(0.01, "Decoupled weight decay.")
    betas: list[BelowOne] = option([0.9, 0.999], "Decay rates of both moments.", min_length=2, max_length=2)


@dataclass(frozen=True, kw_only=True)
class Update:
    """One optimiser step."""

    optimizer: Sgd | AdamW = option(REQUIRED, "Optimiser.")
    accumulate: PositiveInt = option(1, "Micro-batches of one optimiser step.")
    amp: Literal["none", "fp16", "bf16"] = option("none", "Mixed precision.")
    clip_grad_norm: PositiveFloat | None = option(None, "Largest gradient norm.")
