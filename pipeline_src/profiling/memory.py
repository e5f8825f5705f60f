"""Peak memory that PyTorch allocated on a CUDA device; there is no such count on a CPU."""

from collections.abc import Callable
from typing import Any

import torch


def measure_peak_memory(call: Callable[[], Any], device: torch.device, warmup: int = 1) -> int | None:
    """Peak bytes allocated on `device` during `call()`, everything already there included; None on a CPU.

    Unmeasured calls before it let the optimiser make its state and cuDNN choose its algorithms.
    """
    if device.type != "cuda":
        return None
    for _ in range(warmup):
        call()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device)
