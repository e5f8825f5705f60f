"""Variance of normal maps before and after bilinear upsampling (Scale Equalization, section 3.1, Figure 3).

The variance after upsampling is computed exactly from the maps before it (`upsampled_moments`), image
by image, so that nothing of the upsampled size is ever made: at ratio 8 that tensor has 17 GB. For one
variance the first images are really upsampled as well, a few channels at a time, and have to agree.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.calibration.simulation_options import Simulation
from pipeline_src.calibration.upsampled_moments import (
    Moments,
    interior_variance_factor,
    merge_all,
    moments_of_sizes,
    upsampled_moments,
    variance_factor,
)
from pipeline_src.progress import track
from pipeline_src.training.seeding import derive

UPSAMPLED_CHUNK = 1 << 20
"""Values that are really upsampled at a time, in float64: 8 MB."""

TOLERANCE = 1e-9
"""Relative difference that is allowed between exact and really upsampled moments."""


def simulate(params: Simulation, name: str = "simulate") -> dict[str, Any]:
    """Measure every variance at every ratio; one after another.

    Returns `maps`, `mean`, `ratios`, `points`, `confirmed` and `closed_form` as `steps/simulate.py` writes
    them. Raises `ArithmeticError` when a map that was really upsampled has other moments than the exact ones.
    """
    (_, _, height, width), ratios = params.maps, params.ratios
    low, high = params.variances
    variances = spaced(low, high, params.points)
    sizes = [(height * ratio, width * ratio) for ratio in ratios]
    total = len(variances) * params.maps[0]
    progress = iter(track(range(total), total, f"{name}: exact moments"))
    points = []
    for number, variance in enumerate(variances):
        found: list[list[Moments]] = []
        for image in images_of(params, number, variance):
            next(progress)
            found.append(moments_of_sizes(image, [(height, width), *sizes]))
        before, *after = (merge_all(parts).variance for parts in zip(*found, strict=True))
        points.append(
            {
                "variance": variance,
                "before": before,
                "after": {str(ratio): value for ratio, value in zip(ratios, after, strict=True)},
            }
        )
    next(progress, None)
    return {
        "maps": list(params.maps),
        "mean": params.mean,
        "ratios": list(ratios),
        "points": points,
        "confirmed": _confirm(params, variances, name) if params.confirm else [],
        "closed_form": {
            "finite": {
                str(ratio): variance_factor(height, height * ratio) * variance_factor(width, width * ratio)
                for ratio in ratios
            },
            "interior": {str(ratio): interior_variance_factor(ratio) ** 2 for ratio in ratios},
        },
    }


def spaced(low: float, high: float, count: int) -> list[float]:
    """`count` evenly spaced numbers from `low` to `high`, rounded to 12 digits."""
    return [round(low + (high - low) * number / (count - 1), 12) for number in range(count)]


def images_of(params: Simulation, number: int, variance: float) -> Iterator[Tensor]:
    """The images `(1, C, H, W)` of the `number`-th variance, float32, each from a seed of its own."""
    images, *shape = params.maps
    for image in range(images):
        generator = torch.Generator().manual_seed(derive(params.seed, "simulation", number, image))
        maps = torch.empty((1, *shape), dtype=torch.float32)
        yield maps.normal_(params.mean, math.sqrt(variance), generator=generator)


def moments_by_upsampling(image: Tensor, ratio: int) -> Moments:
    """Moments of `image` `(1, C, H, W)` after it was really upsampled, a few channels at a time.

    In float64, in two passes over each chunk: the mean, and the squared differences from it.
    """
    size = (image.shape[-2] * ratio, image.shape[-1] * ratio)
    channels = max(1, UPSAMPLED_CHUNK // (size[0] * size[1]))
    parts = []
    for chunk in image.to(torch.float64).split(channels, dim=1):
        upsampled = functional.interpolate(chunk, size=size, mode="bilinear", align_corners=False)
        mean = upsampled.mean()
        upsampled -= mean
        flat = upsampled.view(-1)
        parts.append(Moments(flat.numel(), float(mean), float(torch.dot(flat, flat))))
    return merge_all(parts)


def _confirm(params: Simulation, variances: list[float], name: str) -> list[dict[str, Any]]:
    """Exact and really upsampled variance of the first images of the middle variance, for every ratio."""
    number = len(variances) // 2
    count, ratios = params.confirm, params.ratios
    exact: dict[int, list[Moments]] = {ratio: [] for ratio in ratios}
    real: dict[int, list[Moments]] = {ratio: [] for ratio in ratios}
    images = images_of(params, number, variances[number])
    for image in track((next(images) for _ in range(count)), count, f"{name}: upsample"):
        for ratio in ratios:
            size = (image.shape[-2] * ratio, image.shape[-1] * ratio)
            exact[ratio].append(upsampled_moments(image.to(torch.float64), size))
            real[ratio].append(moments_by_upsampling(image, ratio))
    return [
        _compared(ratio, variances[number], merge_all(exact[ratio]), merge_all(real[ratio]), count)
        for ratio in ratios
    ]


def _compared(ratio: int, variance: float, exact: Moments, real: Moments, images: int) -> dict[str, Any]:
    if not (
        exact.count == real.count
        and math.isclose(exact.variance, real.variance, rel_tol=TOLERANCE)
        and math.isclose(exact.mean, real.mean, rel_tol=TOLERANCE, abs_tol=TOLERANCE * real.std)
    ):
        raise ArithmeticError(
            f"ratio {ratio}: exact moments ({exact.mean!r}, {exact.variance!r}) are not those of the "
            f"upsampled maps ({real.mean!r}, {real.variance!r})"
        )
    return {
        "ratio": ratio,
        "variance": variance,
        "exact": exact.variance,
        "upsampled": real.variance,
        "images": images,
    }
