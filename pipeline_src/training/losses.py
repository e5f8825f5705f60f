"""Per-pixel cross-entropy, divided by a count that may reach over micro-batches and processes.

A network with an auxiliary head gives two maps of logits, whose losses are added with a weight.

The sum over a batch's parts is exact only when every part is divided by the *whole* batch's count,
so the count is taken first (`pixels`), summed over the ranks by the caller, and passed in.
"""

import torch
from torch import nn
from torch.nn import functional

from pipeline_src.training.loss_options import AUXILIARY_WEIGHT, Loss

Output = torch.Tensor | tuple[torch.Tensor, torch.Tensor]
"""A network's logits `(N, C, H, W)`, or a pair of them: the decoder's and the auxiliary head's."""


class SegmentationLoss(nn.Module):
    """Cross-entropy of logits `(N, C, H, W)` against masks `(N, H, W)` that ignores `ignore_index`.

    `reduction` says what the sum over pixels is divided by:
    `labelled_pixels`: pixels that are not ignored (torch's own mean);
    `all_pixels`: all pixels, ignored and padded ones too (MMSegmentation's default);
    `sum`: nothing.
    `auxiliary_weight`: factor on the loss of an auxiliary head, where the network has one.
    """

    def __init__(self, reduction: str, ignore_index: int, auxiliary_weight: float = AUXILIARY_WEIGHT) -> None:
        super().__init__()
        if reduction not in ("labelled_pixels", "all_pixels", "sum"):
            raise ValueError(f"unknown reduction {reduction!r}")
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.auxiliary_weight = auxiliary_weight

    @classmethod
    def of(cls, options: Loss, ignore_index: int) -> "SegmentationLoss":
        """The loss of a recipe."""
        return cls(options.reduction, ignore_index, options.auxiliary_weight)

    def pixels(self, masks: torch.Tensor) -> int:
        """What `masks` contribute to the divisor; sum it over all parts of a batch."""
        match self.reduction:
            case "labelled_pixels":
                return int((masks != self.ignore_index).sum())
            case "all_pixels":
                return masks.numel()
        return 0

    def forward(self, output: Output, masks: torch.Tensor, divisor: int) -> torch.Tensor:
        """This part's share of the loss, a scalar; the shares of all parts add up to the loss.

        Of a pair of logits it is the first's loss plus the weighted one of the second, over the same
        divisor. Without any labelled pixel it is 0 with a gradient of 0, not NaN.
        """
        if isinstance(output, torch.Tensor):
            return self._cross_entropy(output, masks, divisor)
        logits, auxiliary = output
        inner = self._cross_entropy(auxiliary, masks, divisor)
        return self._cross_entropy(logits, masks, divisor) + self.auxiliary_weight * inner

    def _cross_entropy(self, logits: torch.Tensor, masks: torch.Tensor, divisor: int) -> torch.Tensor:
        # Half precision would round a sum over millions of pixels away.
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        total = functional.cross_entropy(logits, masks, ignore_index=self.ignore_index, reduction="sum")
        return total / max(divisor, 1)
