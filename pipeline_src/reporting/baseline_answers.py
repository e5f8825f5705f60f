"""Does a row do better than its baseline? The rules without a paper, fixed before anything is measured.

Every other row of a table is compared with the baseline row over the seeds:

- **Pooled.** Where all rows have the same seeds, the spread is pooled over the table: a two-way layout of R
  rows by S seeds whose residual has (R - 1)(S - 1) degrees of freedom, so that a difference of two rows has
  the variance 2 s^2 / S (Dunnett, A multiple comparison procedure for comparing several treatments with a
  control, 1955). With two rows it is the paired t-test.
- **Alone.** Otherwise, and for rows out of the pool, a row's own paired differences, with S - 1 degrees of
  freedom.
- **Holm's correction** (A simple sequentially rejective multiple test procedure, 1979) over the rows that are
  compared. The answer is `helps` or `hurts` where the corrected p is below 1 - confidence, else `no
  evidence`.
- `collapsed`: a run of the row predicts one class, or its AP is 0. It stays out of the pool, and no answer
  rests on it. `inconclusive (n < 3)`: fewer seeds than the rules ask for.

A row whose effect is known beforehand stays out of the pool and of the correction: it would widen the one
and lighten the other.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from pipeline_src.reporting.intervals import paired_difference

HELPS, HURTS, NO_EVIDENCE, COLLAPSED = "helps", "hurts", "no evidence", "collapsed"
INCONCLUSIVE = "inconclusive"

BySeed = Mapping[int, float]


@dataclass(frozen=True)
class Answer:
    """What the seeds say of one row beside its baseline.

    `difference`, `interval` and `smallest` are in the metric's unit. `smallest` is the smallest difference
    that an interval of this width would have set apart from 0. `p` is corrected by Holm where the row is one
    of several. None stands for what cannot be said.
    """

    verdict: str
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    smallest: float | None = None
    pooled: bool = False


def answer_rows(
    values: Mapping[str, BySeed],
    baseline: str,
    *,
    better: str = "higher",
    collapsed: Collection[str] = (),
    known: Collection[str] = (),
    confidence: float = 0.95,
    minimum_seeds: int = 3,
) -> dict[str, Answer]:
    """The answer of every row of `values` (value by seed) but the baseline, in order.

    `better`: `higher` or `lower`. `collapsed` rows get no other answer, and none can be given beside a
    collapsed baseline; `known` are rows whose effect is known beforehand.
    """
    others = [row for row in values if row != baseline]
    if baseline in collapsed:
        return {row: Answer(COLLAPSED) for row in others}
    few = Answer(f"{INCONCLUSIVE} (n < {minimum_seeds})")
    shared = {row: values[row].keys() & values[baseline].keys() for row in others}
    judged = [row for row in others if row not in collapsed and len(shared[row]) >= minimum_seeds]
    asked = [row for row in judged if row not in known]
    spread = _pooled_spread({row: values[row] for row in (baseline, *asked)}) if asked else None
    found: dict[str, tuple[float, float, float, bool]] = {}
    for row in judged:
        pooled = spread is not None and row in asked
        if pooled:
            difference = _mean(values[row]) - _mean(values[baseline])
            error, freedom = spread or (0.0, 1)
        else:
            summary = paired_difference(values[row], values[baseline], confidence)
            assert summary is not None and summary.sd is not None
            difference, error, freedom = summary.mean, summary.sd / math.sqrt(summary.n), summary.n - 1
        half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
        found[row] = (difference, half, _two_sided(difference, error, freedom), pooled)
    p_values = {row: p for row, (_, _, p, _) in found.items()}
    p_values.update(holm({row: p_values[row] for row in asked}))
    answers = {}
    for row in others:
        if row in collapsed:
            answers[row] = Answer(COLLAPSED)
        elif row not in found:
            answers[row] = few
        else:
            difference, half, _, pooled = found[row]
            verdict = NO_EVIDENCE
            if p_values[row] < 1 - confidence:
                verdict = HELPS if (difference > 0) == (better == "higher") else HURTS
            limits = (difference - half, difference + half)
            answers[row] = Answer(verdict, difference, limits, p_values[row], half, pooled)
    return answers


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's corrected p values: of m, the k-th smallest times m - k + 1, none below the one before it."""
    corrected: dict[str, float] = {}
    largest = 0.0
    for place, row in enumerate(sorted(p_values, key=lambda row: p_values[row])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[row]))
        corrected[row] = largest
    return {row: corrected[row] for row in p_values}


def _pooled_spread(values: Mapping[str, BySeed]) -> tuple[float, int] | None:
    """Standard error of the difference of two rows' means, and its degrees of freedom.

    None where rows have different seeds.
    """
    seeds = sorted(next(iter(values.values())))
    if any(sorted(of_row) != seeds for of_row in values.values()):
        return None
    table = np.array([[of_row[seed] for seed in seeds] for of_row in values.values()])
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return math.sqrt(2 * float((residual**2).sum()) / freedom / table.shape[1]), freedom


def _mean(by_seed: BySeed) -> float:
    return math.fsum(by_seed.values()) / len(by_seed)


def _two_sided(difference: float, error: float, freedom: int) -> float:
    """P of a difference at least as far from 0."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return 2 * float(stdtr(freedom, -abs(difference) / error))
