"""Per-pixel cross-entropy, divided by a count that may reach over micro-batches and processes.

The sum over a batch's parts is exact only when every part is divided by the *whole* batch's count,
so the count is taken first (`pixels`), summed over the ranks by the caller, and passed in.
"""

import torch
from torch import nn
from torch.nn import functional


class SegmentationLoss(nn.Module):
    """Cross-entropy of logits `(N, C, H, W)` against masks `(N, H, W)` that ignores `ignore_index`.

    `reduction` says what the sum over pixels is divided by:
    `labelled_pixels`: pixels that are not ignored (torch's own mean);
    `all_pixels`: all pixels, ignored and padded ones too (MMSegmentation's default);
    `sum`: nothing.
    """

    def __init__(self, reduction: str, ignore_index: int) -> None:
        super().__init__()
        if reduction not in ("labelled_pixels", "all_pixels", "sum"):
            raise ValueError(f"unknown reduction {reduction!r}")
        self.reduction = reduction
        self.ignore_index = ignore_index

    def pixels(self, masks: torch.Tensor) -> int:
        """What `masks` contribute to the divisor; sum it over all parts of a batch."""
        match self.reduction:
            case "labelled_pixels":
                return int((masks != self.ignore_index).sum())
            case "all_pixels":
                return masks.numel()
        return 0

    def forward(self, logits: torch.Tensor, masks: torch.Tensor, divisor: int) -> torch.Tensor:
        """This part's share of the loss, a scalar; the shares of all parts add up to the loss.

        Without any labelled pixel it is 0 with a gradient of 0, not NaN.
        """
        # Half precision would round a sum over millions of pixels away.
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        total = functional.cross_entropy(logits, masks, ignore_index=self.ignore_index, reduction="sum")
        return total / max(divisor, 1)
