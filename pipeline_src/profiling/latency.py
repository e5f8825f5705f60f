"""Wall time of repeated calls: median and quartiles, after warm-up, synchronised on CUDA."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Latency:
    """Seconds per call over `repeats` calls."""

    median: float
    lower_quartile: float
    upper_quartile: float
    repeats: int


def measure_latency(
    call: Callable[[], Any], device: torch.device, repeats: int = 10, warmup: int = 2
) -> Latency:
    """Time `call()` `repeats` times after `warmup` unmeasured calls.

    On CUDA the device is synchronised before each reading of the clock, so queued work counts.
    """
    for _ in range(warmup):
        call()
    seconds = []
    for _ in range(repeats):
        _synchronise(device)
        start = time.perf_counter()
        call()
        _synchronise(device)
        seconds.append(time.perf_counter() - start)
    return summarise(seconds)


def summarise(seconds: list[float]) -> Latency:
    """Median and quartiles (linear interpolation between the measured values)."""
    if len(seconds) == 1:
        return Latency(seconds[0], seconds[0], seconds[0], 1)
    lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
    return Latency(median, lower, upper, len(seconds))


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
