"""Mixed precision: which operations run in half precision, and how small gradients survive it."""

import torch

from pipeline_src.errors import InputError

HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}


class Precision:
    """`none`, `fp16` (with dynamic loss scaling, CUDA only) or `bf16`, on one kind of device.

    Raises `InputError` for fp16 on a CPU: gradients would underflow with nothing to scale them.
    """

    def __init__(self, amp: str, device: torch.device) -> None:
        if amp == "fp16" and device.type != "cuda":
            raise InputError("recipe.amp: fp16 needs a CUDA device; on a CPU use bf16 or none")
        self.device = device
        self.dtype = HALF.get(amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")

    def autocast(self) -> torch.autocast:
        """Context of a forward pass."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None)
