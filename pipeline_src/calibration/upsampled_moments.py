"""Mean and variance of a bilinearly upsampled map, exactly, from the map before upsampling.

Bilinear upsampling is linear and separable: the upsampled map is `A X B^T`, where every row of `A`
and `B` holds two neighbouring weights that add up to 1. So its sum is `a^T X b` with the column sums
`a`, `b`, and its sum of squares is the inner product of `(A^T A) X (B^T B)` with `X`, where both Gram
matrices are tridiagonal. The upsampled map itself, up to 64 times as large, is never made.

Matches `F.interpolate(mode="bilinear", size=..., antialias=False)` for both values of align_corners.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

CHUNK = 1 << 17
"""Values of a chunk that is converted to float64 at a time: a megabyte, which stays in a CPU's cache."""

CHUNK_ON_GPU = 1 << 20
"""The same on a GPU, which wants more work at a time."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared differences from the mean (`m2`) of many values."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @property
    def variance(self) -> float:
        """Population variance."""
        return self.m2 / self.count if self.count else math.nan

    @property
    def std(self) -> float:
        """Population standard deviation."""
        return math.sqrt(self.variance) if self.count else math.nan

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets of values together (Chan et al.'s pairwise update)."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * other.count / count
        m2 = self.m2 + other.m2 + delta * delta * self.count * other.count / count
        return Moments(count, mean, m2)


def merge_all(parts: Iterable[Moments]) -> Moments:
    """Moments of all parts together, merged in the given order."""
    total = Moments()
    for part in parts:
        total = total.merge(part)
    return total


def upsampled_moments(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Moments:
    """Moments over all values of `x` `(N, C, H, W)` after bilinear upsampling to `size` = (height, width).

    Accumulates in float64, in chunks; `x` may have any floating type, live on any device, and have any
    size, smaller or larger than `size`.
    """
    return moments_of_sizes(x, [size], align_corners)[0]


def moments_of_sizes(
    x: Tensor, sizes: Sequence[tuple[int, int]], align_corners: bool = False
) -> list[Moments]:
    """The same for several sizes at once, which share the conversion of `x` to float64."""
    height, width = x.shape[-2], x.shape[-1]
    device = x.device
    targets = [
        _Target(
            _axis(height, size[0], align_corners).to(device),
            _axis(width, size[1], align_corners).to(device),
            size[0] * size[1],
            (height, width) == tuple(size),
        )
        for size in sizes
    ]
    flat = x.detach().reshape(-1, height, width)
    step = max(1, (CHUNK_ON_GPU if x.is_cuda else CHUNK) // (height * width))
    # allocated once: memory that is asked for again and again costs more than the sums
    buffers = torch.empty((3, min(step, len(flat)), height, width), dtype=torch.float64, device=device)
    sums, counts = [], []
    for start in range(0, len(flat), step):
        part = flat[start : start + step]
        maps, left, right = buffers[:, : len(part)]
        maps.copy_(part)
        # The maps' own mean comes off first: whatever their mean is, nothing cancels below.
        centre = maps.mean()
        maps -= centre
        found = [value for target in targets for value in target.sums(maps, left, right)]
        sums.append(torch.stack([centre, *found]))
        counts.append(len(part))
    values = torch.stack(sums).tolist()
    return [
        merge_all(
            _moments(count * target.pixels, centre, *parts[2 * number : 2 * number + 2])
            for count, (centre, *parts) in zip(counts, values, strict=True)
        )
        for number, target in enumerate(targets)
    ]


def _moments(count: int, centre: float, mean: float, squares: float) -> Moments:
    """Of `count` values, from their mean and sum of squares after `centre` was subtracted from each."""
    return Moments(count, centre + mean, max(squares - count * mean * mean, 0.0))  # in this order NaN stays


@dataclass(frozen=True)
class _Target:
    """A size that maps are upsampled to: both axes, its number of pixels, and whether it is the maps' own."""

    rows: "Axis"
    columns: "Axis"
    pixels: int
    own: bool

    def sums(self, maps: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and sum of squares of float64 `maps` `(M, H, W)` after upsampling, as scalars.

        `left` and `right` are buffers of the same shape.
        """
        if self.own:
            return maps.mean(), torch.dot(maps.view(-1), maps.view(-1))
        mean = self.rows.sums @ maps.mean(dim=0) @ self.columns.sums / self.pixels
        _times_rows(maps, self.rows, left)
        _times_columns(maps, self.columns, right)
        return mean, torch.dot(left.view(-1), right.view(-1))


@dataclass(frozen=True)
class Axis:
    """One axis of the upsampling: column sums of its matrix `(in,)`, and its Gram matrix' diagonals."""

    sums: Tensor
    diagonal: Tensor
    beside: Tensor
    """`(in - 1,)`: next to the diagonal, on both sides."""

    def to(self, device: torch.device) -> "Axis":
        """The same on another device."""
        return Axis(self.sums.to(device), self.diagonal.to(device), self.beside.to(device))


@cache
def _axis(length: int, target: int, align_corners: bool) -> Axis:
    """Weights of the two neighbours of every new position, as torch computes them, summed up."""
    if length == target:
        ones = torch.ones(length, dtype=torch.float64)
        return Axis(ones, ones, ones.new_zeros(length - 1))
    position = torch.arange(target, dtype=torch.float64)
    if align_corners:
        source = position * ((length - 1) / (target - 1) if target > 1 else 0.0)
    else:
        source = ((position + 0.5) * (length / target) - 0.5).clamp(min=0)
    low = source.floor().to(torch.int64).clamp(max=length - 1)
    high = (low + 1).clamp(max=length - 1)
    share = source - low
    sums = torch.zeros(length, dtype=torch.float64)
    sums.index_add_(0, low, 1 - share)
    sums.index_add_(0, high, share)
    diagonal, beside = torch.zeros(length, dtype=torch.float64), torch.zeros(length - 1, dtype=torch.float64)
    same = low == high
    # both neighbours are the last pixel: its weight is 1
    diagonal.index_add_(0, low[same], torch.ones(int(same.sum()), dtype=torch.float64))
    low, high, share = low[~same], high[~same], share[~same]
    diagonal.index_add_(0, low, (1 - share) ** 2)
    diagonal.index_add_(0, high, share**2)
    beside.index_add_(0, low, share * (1 - share))
    return Axis(sums, diagonal, beside)


def variance_factor(length: int, target: int, align_corners: bool = False) -> float:
    """Factor on the variance of independent values along one axis: trace of the Gram matrix over `target`.

    For two axes the factors multiply; the exact mean variance of a map of finite size.
    """
    return float(_axis(length, target, align_corners).diagonal.sum()) / target


def interior_variance_factor(ratio: int) -> float:
    """The same far from the borders, for an integer ratio at half-pixel centres (align_corners false).

    2/3 - 1/(6 r^2) for even r, 2/3 + 1/(3 r^2) for odd r; the limit of large ratios is 2/3.
    """
    return 2 / 3 - 1 / (6 * ratio**2) if ratio % 2 == 0 else 2 / 3 + 1 / (3 * ratio**2)


def _times_rows(maps: Tensor, axis: Axis, product: Tensor) -> None:
    """Put the Gram matrix of the rows times every map of `(M, H, W)` into `product`."""
    torch.mul(maps, axis.diagonal[:, None], out=product)
    beside = axis.beside[:, None]
    product[:, :-1].addcmul_(maps[:, 1:], beside)
    product[:, 1:].addcmul_(maps[:, :-1], beside)


def _times_columns(maps: Tensor, axis: Axis, product: Tensor) -> None:
    """Put every map of `(M, H, W)` times the Gram matrix of the columns into `product`."""
    torch.mul(maps, axis.diagonal, out=product)
    product[..., :-1].addcmul_(maps[..., 1:], axis.beside)
    product[..., 1:].addcmul_(maps[..., :-1], axis.beside)
