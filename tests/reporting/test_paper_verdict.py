"""The decision table of verdicts, line by line, and properties that hold for all values."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline_src.reporting.intervals import Summary, summarise
from pipeline_src.reporting.paper_verdict import judge_ratio, judge_score
from pipeline_src.reporting.report_params import Rules, Scale

RULES = Rules()
PAPER = Scale("paper", True)
DEMO = Scale("demo", False)
KNOWN = {
    "agrees",
    "direction only",
    "differs",
    "inconclusive (n < 3)",
    "not comparable (demo)",
    "server only",
    "no data",
    "not run",
    None,
}


def spread(mean, half, n=5):
    """A summary with a given interval."""
    return Summary(mean, 1.0, n, (mean - half, mean + half)) if n > 1 else Summary(mean, None, 1, None)


def score(ours=70.0, paper=69.87, difference=(6.0, 1.0), paper_difference=6.08, n=5, pairs=None, **more):
    options = {"is_baseline": False, "status": "run", "scale": PAPER, "rules": RULES} | more
    if difference is not None:
        difference = spread(*difference, n=n if pairs is None else pairs)
    ours = None if ours is None else spread(ours, 0.3, n)
    return judge_score(ours, paper, difference, paper_difference, **options).verdict


def ratio(ours, paper, **more):
    options = {"is_baseline": False, "status": "run", "scale": PAPER, "rules": RULES} | more
    return judge_ratio(ours, paper, **options).verdict


@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        # 1: the row could not be made
        ({"status": "no data", "ours": None}, "no data"),
        ({"status": "not run", "ours": None}, "not run"),
        ({"status": "server only", "ours": None}, "server only"),
        ({"status": "no data", "ours": None, "paper": None}, "no data"),
        ({"status": "no data", "ours": None, "scale": DEMO}, "no data"),
        ({"ours": None}, "not run"),
        # 2: nothing to compare with
        ({"paper": None, "paper_difference": None}, None),
        ({"paper": None, "paper_difference": None, "scale": DEMO}, None),
        # 3: not meant to be compared
        ({"scale": DEMO}, "not comparable (demo)"),
        ({"scale": DEMO, "n": 1}, "not comparable (demo)"),
        # 4: too few seeds
        ({"n": 1}, "inconclusive (n < 3)"),
        ({"n": 2}, "inconclusive (n < 3)"),
        ({"n": 5, "pairs": 2}, "inconclusive (n < 3)"),
        ({"n": 5, "difference": None}, "inconclusive (n < 3)"),
        # 5 to 7: a row with a baseline
        ({}, "agrees"),
        ({"n": 3}, "agrees"),
        ({"ours": 70.87}, "agrees"),
        ({"ours": 68.87}, "agrees"),
        ({"ours": 70.88}, "direction only"),
        ({"ours": 60.0}, "direction only"),
        ({"ours": 60.0, "difference": (0.5, 1.0)}, "differs"),
        ({"difference": (0.5, 1.0)}, "differs"),
        ({"difference": (-6.0, 1.0)}, "differs"),
        ({"paper_difference": -2.0, "difference": (-2.0, 1.0)}, "agrees"),
        ({"paper_difference": -2.0, "difference": (2.0, 1.0)}, "differs"),
        # the paper's two values are equal: it claims no difference
        ({"paper_difference": 0.0, "difference": (0.2, 1.0)}, "agrees"),
        ({"paper_difference": 0.0, "difference": (2.0, 1.0)}, "differs"),
        ({"paper_difference": 0.0, "difference": (0.2, 1.0), "ours": 60.0}, "direction only"),
        # a baseline row, or a baseline for which the paper prints nothing
        ({"is_baseline": True, "difference": None, "paper_difference": None}, "agrees"),
        ({"is_baseline": True, "difference": None, "paper_difference": None, "ours": 60.0}, "differs"),
        ({"is_baseline": True, "difference": None, "paper_difference": None, "n": 2}, "inconclusive (n < 3)"),
        ({"paper_difference": None}, "agrees"),
        # the paper states a difference, and no values
        ({"paper": None, "paper_difference": 1.9, "difference": (2.8, 1.0)}, "agrees"),
        ({"paper": None, "paper_difference": 1.9, "difference": (3.1, 1.0)}, "direction only"),
        ({"paper": None, "paper_difference": 1.9, "difference": (1.5, 1.6)}, "differs"),
        ({"paper": None, "paper_difference": 1.9, "difference": (-2.0, 1.0)}, "differs"),
        (
            {"paper": None, "paper_difference": 1.9, "difference": (1.9, 1.0), "pairs": 2},
            "inconclusive (n < 3)",
        ),
        ({"paper": None, "paper_difference": 1.9, "difference": None}, "inconclusive (n < 3)"),
        ({"paper": None, "paper_difference": 1.9, "scale": DEMO}, "not comparable (demo)"),
        ({"paper": None, "paper_difference": None, "is_baseline": True}, None),
        ({"paper_difference": None, "ours": 60.0}, "differs"),
    ],
)
def test_decision_table_of_scores(case, verdict):
    assert score(**case) == verdict


def test_a_value_as_far_off_as_is_tolerated_agrees_whatever_its_binary_fraction():
    """Two decimals, as papers print them: most are no binary fraction, and 2.14 - 1.14 is above 1."""
    alone = {"is_baseline": True, "difference": None, "paper_difference": None}
    for hundredths in range(0, 10_000, 7):
        paper = hundredths / 100
        for sign in (1, -1):
            near, far = ((hundredths + sign * (100 + more)) / 100 for more in (0, 1))
            assert score(ours=near, paper=paper, **alone) == "agrees", (near, paper)
            assert score(ours=far, paper=paper, **alone) == "differs", (far, paper)


@pytest.mark.parametrize(
    ("ours", "paper", "more", "verdict"),
    [
        (1.43, 1.43, {}, "agrees"),
        (1.573, 1.43, {}, "agrees"),
        (1.287, 1.43, {}, "agrees"),
        (1.58, 1.43, {}, "direction only"),
        (1.8, 1.43, {}, "direction only"),
        (0.99, 1.02, {}, "differs"),
        (0.5, 1.43, {}, "differs"),
        (1.0, 1.43, {}, "differs"),
        (1.0, 1.0, {}, "agrees"),
        (0.8, 0.75, {}, "agrees"),
        (1.43, None, {}, None),
        (None, 1.43, {}, "not run"),
        (None, 1.43, {"status": "no data"}, "no data"),
        (1.43, 1.43, {"scale": DEMO}, "not comparable (demo)"),
        (1.0, 1.0, {"is_baseline": True}, None),
    ],
)
def test_decision_table_of_costs(ours, paper, more, verdict):
    assert ratio(ours, paper, **more) == verdict


FINITE = st.floats(0, 100)
SEEDS = st.lists(FINITE, min_size=1, max_size=6)


@given(SEEDS, FINITE, SEEDS, st.floats(-10, 10), st.booleans(), st.booleans())
def test_every_verdict_is_one_of_the_known_ones_and_has_a_reason(
    values, paper, baseline, claim, is_baseline, comparable
):
    n = min(len(values), len(baseline))
    difference = summarise([a - b for a, b in zip(values[:n], baseline[:n], strict=True)])
    scale = PAPER if comparable else DEMO
    result = judge_score(
        summarise(values),
        paper,
        difference,
        claim,
        is_baseline=is_baseline,
        status="run",
        scale=scale,
        rules=RULES,
    )
    assert result.verdict in KNOWN
    assert result.reason
    assert (result.verdict == "not comparable (demo)") == (not comparable)


@given(SEEDS, FINITE, st.floats(-10, 10), st.floats(-10, 10))
def test_agreement_needs_tolerance_and_enough_seeds(values, paper, gap, claim):
    ours = summarise(values)
    difference = summarise([gap + 0.01 * k for k in range(len(values))])
    options = {"is_baseline": False, "status": "run", "scale": PAPER, "rules": RULES}
    verdict = judge_score(ours, paper, difference, claim, **options).verdict
    if verdict == "agrees":
        assert abs(ours.mean - paper) <= 1.0 + 1e-6
        assert ours.n >= 3
    if ours.n < 3:
        assert verdict == "inconclusive (n < 3)"


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_costs_are_judged_by_ratios_alone(ours, paper):
    """Both halves of the rule, and nothing else: the tolerance, and the side of 1."""
    assume(abs(ours - 1) > 1e-6 and abs(paper - 1) > 1e-6 and abs(abs(ours / paper - 1) - 0.1) > 1e-6)
    same_side = (ours > 1) == (paper > 1)
    close = 0.9 <= ours / paper <= 1.1
    expected = "agrees" if same_side and close else "direction only" if same_side else "differs"
    assert ratio(ours, paper) == expected


@given(st.floats(0.05, 5), st.floats(60, 80))
def test_a_wider_tolerance_never_takes_agreement_away(points, ours):
    narrow = score(ours=ours, rules=Rules(points=points))
    wide = score(ours=ours, rules=Rules(points=points * 2))
    assert narrow != "agrees" or wide == "agrees"


def test_the_reason_tells_a_value_in_tolerance_whose_direction_is_open():
    result = judge_score(
        spread(70.0, 0.3),
        69.87,
        spread(0.5, 1.0),
        6.08,
        is_baseline=False,
        status="run",
        scale=PAPER,
        rules=RULES,
    )
    assert "within tolerance, but the direction is not established" in result.reason
    assert "-0.50 to +1.50" in result.reason


def test_an_unknown_status_is_a_bug():
    with pytest.raises(
        ValueError, match="'lost' is not one of run, no data, not at this scale, not run, server only"
    ):
        score(status="lost")
