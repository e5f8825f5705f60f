"""What calibration of scale equalizers costs: `python -m benchmarks.calibration [--device cuda]`.

The exact moments of an upsampled map against upsampling it and measuring that (ratio 8, 512 channels,
64x64 to 512x512): time and peak memory beyond the map itself. And a calibration of a UPerNet on ADE20K
as a share of its training at scale paper, from the measured times of one batch and one step.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from benchmarks.networks import CLASSES, FUSION, LOSS, UPDATE, upernet
from benchmarks.timing import fastest
from pipeline_src.calibration.measure import first_step_modes, measured
from pipeline_src.calibration.upsampled_moments import upsampled_moments
from pipeline_src.errors import run_command
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.fusion.scale_equalizer import named_concatenations
from pipeline_src.profiling.training_step import training_step
from pipeline_src.tasks.segmentation.costs import COSTS
from pipeline_src.training.determinism import describe_device

CHANNELS, SIDE, RATIO = 512, 64, 8
TRAINING_IMAGES, BATCH, STEPS = 20_210, 16, 160_000
"""ADE20K's training images, and batch and steps of the paper's UPerNets."""

TIME_TARGET, MEMORY_TARGET, SHARE_TARGET = 50, 20, 1.0


def peak_bytes(call: Callable[[], Any], device: torch.device) -> int:
    """Most bytes that `call()` has allocated at a time, beyond what was there before."""
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its notes about missing GPUs
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    results = profiled.profiler.kineto_results
    changes = sorted((one.start_ns(), one.nbytes()) for one in results.events() if one.name() == "[memory]")
    current = peak = 0
    for _, change in changes:
        current += change
        peak = max(peak, current)
    return peak


def compare_moments(device: torch.device, rounds: int) -> None:
    """Print both ratios of the exact moments."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(1, CHANNELS, SIDE, SIDE, generator=generator).to(device)
    size = (SIDE * RATIO, SIDE * RATIO)

    def exact() -> tuple[float, float]:
        found = upsampled_moments(maps, size)
        return found.mean, found.variance

    def naive() -> tuple[float, float]:
        upsampled = functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
        variance, mean = torch.var_mean(upsampled, correction=0)
        return float(mean), float(variance)

    ours, theirs = fastest({"exact": exact, "naive": naive}, device, rounds).values()
    our_bytes, their_bytes = (peak_bytes(call, device) for call in (exact, naive))
    difference = abs(exact()[1] / naive()[1] - 1)
    print(
        f"exact moments of {CHANNELS} channels, {SIDE}x{SIDE} to {size[0]}x{size[1]}, threads "
        f"{torch.get_num_threads()}: {1e3 * ours:.1f} ms, "
        f"{theirs / ours:.0f} x faster than upsampling ({1e3 * theirs:.0f} ms; target {TIME_TARGET} x)"
    )
    print(
        f"  peak memory {our_bytes / 2**20:.1f} MiB, {their_bytes / our_bytes:.0f} x less "
        f"({their_bytes / 2**20:.0f} MiB; target {MEMORY_TARGET} x); variances differ by {difference:.0e}"
    )


def share_of_training(device: torch.device, crop: int, batch: int, rounds: int) -> None:
    """Print what part of a UPerNet's training its calibration takes."""
    torch.manual_seed(0)
    model = build_segmentor(upernet("folded")).to(device)
    images, masks = COSTS.made_up_batch(batch, (crop, crop), CLASSES, device)
    step = training_step(model, COSTS.objective(LOSS), UPDATE, (images, masks))
    concats = {FUSION: named_concatenations(model)[FUSION]}

    def calibrate() -> None:
        with torch.no_grad(), first_step_modes(model, False), measured(concats):
            model(images)

    times = fastest({"calibration": calibrate, "training": step}, device, rounds)
    calibration, training = times["calibration"], times["training"]
    batches = TRAINING_IMAGES // BATCH
    share = 100 * batches * calibration / (STEPS * training)
    print(
        f"calibration of a UPerNet (ConvNeXt-T, batch {batch}, {crop}x{crop}): {calibration:.3f} s a batch, "
        f"{training:.3f} s a training step; {batches} batches are {share:.2f} % of {STEPS} steps "
        f"(target {SHARE_TARGET:g} %)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5, help="the fastest counts")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(f"torch {torch.__version__}, {describe_device(device)}, {options.threads} threads")
    for threads in sorted({1, options.threads}) if options.device == "cpu" else [options.threads]:
        torch.set_num_threads(threads)
        compare_moments(device, options.rounds)
    share_of_training(device, options.crop, options.batch, options.rounds)


if __name__ == "__main__":
    run_command(main)
