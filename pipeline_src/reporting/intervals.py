"""Mean, spread and t-intervals over seeds, of values and of paired differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit


@dataclass(frozen=True)
class Summary:
    """Mean of `n` values with sample standard deviation (n - 1) and t-interval; both None at n = 1."""

    mean: float
    sd: float | None
    n: int
    interval: tuple[float, float] | None

    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval; False where there is no interval."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def summarise(values: Sequence[float], confidence: float = 0.95) -> Summary:
    """Summary of at least one value: mean +- t(confidence, n - 1) sd / sqrt(n).

    Raises `ValueError` for no values, or one that is not finite.
    """
    if not values:
        raise ValueError("no values to summarise")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"values are not finite: {list(values)}")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1, None)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    # Student's t quantile; `scipy.stats` has it too, and takes a second longer to import
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * sd / math.sqrt(n)
    return Summary(mean, sd, n, (mean - half, mean + half))


def paired_difference(
    ours: Mapping[int, float], baseline: Mapping[int, float], confidence: float = 0.95
) -> Summary | None:
    """Summary of `ours - baseline` over the seeds that both have; None where they share none.

    Both map a seed to its value. Runs of one seed start from the same weights and see the same data
    in the same order, so the difference of a pair varies less than the values do.
    """
    seeds = sorted(ours.keys() & baseline.keys())
    if not seeds:
        return None
    return summarise([ours[seed] - baseline[seed] for seed in seeds], confidence)
