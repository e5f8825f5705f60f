"""Times of several calls that are to be compared, on a machine that may do other work meanwhile."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from pipeline_src.profiling.latency import measure_latency

Key = TypeVar("Key")


def fastest(calls: Mapping[Key, Callable[[], Any]], device: torch.device, rounds: int) -> dict[Key, float]:
    """Seconds of the fastest of `rounds` calls of each, after one that is not counted.

    The calls take turns, so that other work does not fall on one of them alone, and every round begins
    with another one, since a call may be slower after some than after others.
    """
    seconds: dict[Key, list[float]] = {key: [] for key in calls}
    keys = list(calls)
    rounds_of_keys = [keys[number % len(keys) :] + keys[: number % len(keys)] for number in range(rounds + 1)]
    turns = [key for turn in rounds_of_keys for key in turn]
    for key in tqdm(turns, desc="timing", leave=False, disable=not sys.stderr.isatty()):
        seconds[key].append(measure_latency(calls[key], device, repeats=1, warmup=0).median)
    return {key: min(own[1:]) for key, own in seconds.items()}
