"""Does a measured value confirm the paper's? Rules that are fixed before anything is measured.

A verdict is found by the first line that applies:

| # | condition                                                        | verdict                    |
|---|------------------------------------------------------------------|----------------------------|
| 1 | the row was not made; its status is the verdict                  | `no data`, `not run`,      |
|   |                                                                  | `not at this scale`,       |
|   |                                                                  | `server only`              |
| 2 | the paper prints nothing for the cell                            | none (a dash)              |
| 3 | the scale is not meant to be compared                            | `not comparable (<scale>)` |
| 4 | a score with fewer than `minimum_seeds` seeds, or sharing fewer  | `inconclusive (n < 3)`     |
|   | seeds with its baseline row                                      |                            |
| 5 | within tolerance, and the direction holds                        | `agrees`                   |
| 6 | the direction holds                                              | `direction only`           |
| 7 | otherwise                                                        | `differs`                  |

Scores (mIoU, AP; in points). *Within tolerance*: |ours - paper| <= `points` (1.0). *The
direction holds*: the paired difference from the row's own baseline has the sign of the paper's
difference from that baseline, and its t-interval (`confidence`, 95 %) excludes 0. Where the paper's
two values are equal it claims no difference, and the direction holds when the interval contains 0.
A baseline row has no difference of its own: line 5 asks for the tolerance alone and line 6 does not
exist for it. Where the paper prints no value for the baseline, there is no direction to confirm, so
the same is asked as of a baseline row. A value within tolerance whose direction is not established
is `differs`, since the paper's claim is the difference; the reason beside the verdict says so.
Where the paper states a difference and no values, *within tolerance* is |our paired difference - the
paper's| <= `points`.

No verdict rests on a network that collapsed: where a run of the row or of its baseline predicts one class,
or finds nothing, lines 5 to 7 read `collapsed`.

Costs (memory, time) are compared as ratios to the baseline row, since hardware differs: *within
tolerance* is |ours / paper - 1| <= `ratio` (10 %) of these ratios, and *the direction
holds* when both ratios are on the same side of 1 (or both are 1). They are measured once per
architecture, so line 4 and the interval do not apply. The baseline row of a cost is 1 by
definition and gets no verdict.
"""

from dataclasses import dataclass

from pipeline_src.reporting.intervals import Summary
from pipeline_src.reporting.report_params import Rules, Scale
from pipeline_src.reporting.row_status import DONE, NOT_RUN, STATUSES

AGREES = "agrees"
DIRECTION_ONLY = "direction only"
DIFFERS = "differs"

_ROUNDING = 1e-9
"""Slack for decimal numbers that are no binary fractions: 70.87 - 69.87 is 1 here."""


@dataclass(frozen=True)
class Verdict:
    """The verdict (None: nothing to judge) and its reason in a few words."""

    verdict: str | None
    reason: str

    @property
    def judged(self) -> bool:
        """Whether a value was held against the paper's."""
        return self.verdict in (AGREES, DIRECTION_ONLY, DIFFERS)


def judge_score(
    ours: Summary | None,
    paper: float | None,
    difference: Summary | None,
    paper_difference: float | None,
    *,
    is_baseline: bool,
    status: str,
    scale: Scale,
    rules: Rules,
) -> Verdict:
    """Verdict on a score in points.

    `difference` is the paired difference of our row from its baseline row (None: no seed in
    common), `paper_difference` that of the paper's values, or the one that it states without values, where
    `paper` is None (None: the paper has none).
    """
    published = paper is not None or paper_difference is not None
    early = _before_values(ours is not None, published, status, scale)
    if early is not None:
        return early
    assert ours is not None
    pairs_needed = not is_baseline and paper_difference is not None
    pairs = difference.n if difference is not None else 0
    n = min(ours.n, pairs) if pairs_needed else ours.n
    if n < rules.minimum_seeds:
        what = "seeds shared with the baseline row" if n < ours.n else "seeds"
        return Verdict(f"inconclusive (n < {rules.minimum_seeds})", f"{n} {what}")
    if paper is not None:
        off, of_what = ours.mean - paper, "the paper"
    else:
        assert difference is not None and paper_difference is not None
        off, of_what = difference.mean - paper_difference, "the difference that the paper states"
    within = abs(off) <= rules.points + _ROUNDING
    distance = f"{abs(off):.2f} points {'above' if off > 0 else 'below'} {of_what}"
    if not pairs_needed:
        return Verdict(AGREES if within else DIFFERS, distance)
    assert difference is not None and difference.interval is not None and paper_difference is not None
    holds = _direction_holds(difference, paper_difference)
    low, high = difference.interval
    seen = f"difference from the baseline {low:+.2f} to {high:+.2f}, paper's {paper_difference:+.2f}"
    return _combine(within, holds, f"{distance}; {seen}")


def judge_ratio(
    ours: float | None,
    paper: float | None,
    *,
    is_baseline: bool,
    status: str,
    scale: Scale,
    rules: Rules,
) -> Verdict:
    """Verdict on a cost, as ratios to the baseline row's cost."""
    early = _before_values(ours is not None, paper is not None, status, scale)
    if early is not None:
        return early
    assert ours is not None and paper is not None
    if is_baseline:
        return Verdict(None, "the baseline of the ratios")
    off = ours / paper - 1
    within = abs(off) <= rules.ratio + _ROUNDING
    holds = _sign(ours - 1) == _sign(paper - 1)
    return _combine(within, holds, f"ratio {ours:.2f}, paper's {paper:.2f} ({100 * off:+.1f} %)")


def _before_values(measured: bool, published: bool, status: str, scale: Scale) -> Verdict | None:
    """Lines 1 to 3 of the table."""
    if status not in STATUSES:
        raise ValueError(f"status {status!r} is not one of {', '.join(STATUSES)}")
    if status != DONE:
        return Verdict(status, "")
    if not measured:
        return Verdict(NOT_RUN, "no value")
    if not published:
        return Verdict(None, "the paper prints nothing")
    if not scale.comparable:
        return Verdict(f"not comparable ({scale.name})", f"scale {scale.name}")
    return None


def _combine(within: bool, holds: bool, reason: str) -> Verdict:
    if holds:
        return Verdict(AGREES if within else DIRECTION_ONLY, reason)
    if within:
        reason = f"within tolerance, but the direction is not established: {reason}"
    return Verdict(DIFFERS, reason)


def _direction_holds(difference: Summary, paper_difference: float) -> bool:
    if _sign(paper_difference) == 0:
        return not difference.excludes_zero()
    return difference.excludes_zero() and _sign(difference.mean) == _sign(paper_difference)


def _sign(value: float) -> int:
    return 0 if abs(value) <= _ROUNDING else (1 if value > 0 else -1)
