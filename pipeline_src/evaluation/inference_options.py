"""How a trained network is evaluated, of either task. No torch."""

from dataclasses import dataclass
from typing import Literal

from pipeline_src.options import NonNegativeInt, Pair, option


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained network is evaluated."""

    mode: Literal["whole", "slide"] = option(
        "whole", "`whole`: the whole image at once; `slide`: mean logits of overlapping windows."
    )
    window: Pair | None = option(None, "Height and width of a window; for `slide` only.")
    stride: Pair | None = option(None, "Step from a window to the next, down and across; for `slide` only.")
    resize: Pair | None = option(
        None,
        "Long and short side that an image is fitted into first; null: its own size. "
        "Accuracy is counted at the own size in any case.",
    )
    scales: list[Pair] | None = option(
        None,
        "Detection: long and short side of every test size, whose detections are merged; null: "
        "the training's last scale.",
    )
    overlays: NonNegativeInt = option(4, "Validation images whose predictions are kept as pictures.")

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, kw_only=True)
class SplitEvaluation(Evaluation):
    """The same, on one split."""

    split: str
