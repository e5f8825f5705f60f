"""Settings of the process that can change a result's bits: threads and deterministic algorithms.

Call `configure` before anything is computed. Also what the process took and ran on, for the sidecar.
"""

import os
import platform
import resource
import sys
from typing import Any

import torch


def configure(*, threads: int, deterministic: bool, device: torch.device) -> dict[str, Any]:
    """Set thread count and determinism, and return both as facts for the sidecar.

    The thread count comes from the job, not from what a scheduler grants: it decides the order of
    float sums. On CUDA some operations (bilinear upsampling, cross-entropy on maps) have no
    deterministic gradient, so there torch only warns.
    """
    torch.set_num_threads(threads)
    on_cuda = device.type == "cuda"
    if deterministic and on_cuda:
        # Read when the first cuBLAS handle is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic, warn_only=on_cuda)
    # Would fill every new tensor with NaN first: slow, and a guard against bugs that is not needed here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = on_cuda and not deterministic
    return {
        "deterministic_algorithms": deterministic,
        "warn_only": deterministic and on_cuda,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "tf32_convolutions": on_cuda and torch.backends.cudnn.allow_tf32,
        "threads": torch.get_num_threads(),
    }


def describe_device(device: torch.device) -> str:
    """Name of the device that computes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"


def peak_memory(device: torch.device) -> int:
    """Most bytes in use so far: allocated on a CUDA device, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
