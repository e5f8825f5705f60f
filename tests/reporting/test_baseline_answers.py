"""Answers without a paper: the pooled spread, Holm's correction, what stays out, and the paragraph."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline_src.reporting.baseline_answers import answer_rows, holm
from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.findings_paragraph import findings
from pipeline_src.reporting.long_table import TIMED_COLUMNS
from pipeline_src.reporting.report_params import Printed, Rules, Scale
from pipeline_src.reporting.row_params import RowRun, TableRow


def table(effects, seeds=3, noise=0.5, seed=0):
    """Value by seed of made-up rows: 50, an effect of the row, one of the seed, and noise."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 2, seeds)
    return {
        row: {number: 50 + effect + common[number] + rng.normal(0, noise) for number in range(seeds)}
        for row, effect in effects.items()
    }


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_two_rows_are_the_paired_t_test(seeds):
    values = table({"plain": 0, "idea": 1}, seeds)
    answer = answer_rows(values, "plain")["idea"]
    theirs = stats.ttest_rel([*values["idea"].values()], [*values["plain"].values()])
    assert answer.pooled
    assert answer.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert answer.interval == pytest.approx(theirs.confidence_interval(0.95), rel=1e-9)
    assert answer.smallest == pytest.approx((answer.interval[1] - answer.interval[0]) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_the_pooled_spread_is_the_residual_of_least_squares(seed):
    values = table({"plain": 0, "a": 1, "b": -1, "c": 0.2}, seeds=4, seed=seed)
    observed = np.array([[*of_row.values()] for of_row in values.values()]).ravel()
    rows, columns = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)
    design = np.column_stack(
        [np.ones(16), *(rows == r for r in range(1, 4)), *(columns == c for c in range(1, 4))]
    )
    solution, squares, rank, _ = np.linalg.lstsq(design.astype(float), observed, rcond=None)
    freedom = 16 - rank
    assert freedom == 9
    error = np.sqrt(squares[0] / freedom * np.linalg.inv(design.T @ design)[1, 1])
    answer = answer_rows(values, "plain")["a"]
    assert answer.difference == pytest.approx(solution[1])
    assert answer.smallest == pytest.approx(stats.t.ppf(0.975, freedom) * error)


def test_holms_correction_is_that_of_the_textbooks():
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.5), "holm")
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": 0.5})
    assert found == pytest.approx({"a": 0.04, "b": 0.09, "c": 0.09, "d": 0.025, "e": 0.5})
    assert list(found) == ["a", "b", "c", "d", "e"]
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_rows_that_differ_in_nothing_are_rarely_told_apart():
    rows = dict.fromkeys(["plain", *"abcdefgh"], 0.0)
    wrong = sum(
        any(one.verdict != "no evidence" for one in answer_rows(table(rows, seed=seed), "plain").values())
        for seed in range(400)
    )
    # 5 % of all tables, give or take three standard deviations
    assert wrong / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_an_effect_is_seen_and_its_direction_follows_the_metric():
    values = table({"plain": 0, "up": 4, "down": -4, "same": 0}, noise=0.3)
    found = answer_rows(values, "plain")
    assert {row: one.verdict for row, one in found.items()} == {
        "up": "helps",
        "down": "hurts",
        "same": "no evidence",
    }
    assert answer_rows(values, "plain", better="lower")["up"].verdict == "hurts"


def test_a_known_effect_stays_out_of_the_pool_and_of_the_correction():
    values = table({"plain": 0, "a": 0.5, "b": 0.1})
    rng = np.random.default_rng(5)
    wild = {**values, "known": {seed: 20 + rng.normal(0, 6) for seed in range(3)}}
    without = answer_rows(values, "plain")
    beside = answer_rows(wild, "plain", known=["known"])
    assert {row: beside[row] for row in "ab"} == without
    known = beside["known"]
    theirs = stats.ttest_rel([*wild["known"].values()], [*values["plain"].values()])
    assert not known.pooled and known.p == pytest.approx(theirs.pvalue)
    pooled = answer_rows(wild, "plain")["a"]
    assert pooled.smallest > 2 * without["a"].smallest


def test_rows_of_other_seeds_are_judged_alone():
    values = table({"plain": 0, "a": 1, "b": 1}, seeds=4)
    del values["b"][3]
    found = answer_rows(values, "plain")
    assert not found["a"].pooled and not found["b"].pooled
    theirs = [
        stats.ttest_rel([*values[row].values()], [*values["plain"].values()][:n])
        for row, n in (("a", 4), ("b", 3))
    ]
    assert [found[row].p for row in "ab"] == pytest.approx(
        [holm({"a": theirs[0].pvalue, "b": theirs[1].pvalue})[row] for row in "ab"]
    )


def test_what_gets_no_answer():
    values = table({"plain": 0, "a": 1, "b": 9})
    del values["a"][2]
    found = answer_rows(values, "plain", collapsed=["b"])
    assert found["a"].verdict == "inconclusive (n < 3)" and found["a"].difference is None
    assert found["b"].verdict == "collapsed" and found["b"].interval is None
    assert {one.verdict for one in answer_rows(values, "plain", collapsed=["plain"]).values()} == {
        "collapsed"
    }
    equal = {row: dict.fromkeys(range(3), 50.0) for row in ("plain", "a")}
    assert answer_rows(equal, "plain")["a"].verdict == "no evidence"


ROWS = {"plain": 0, "good": 5, "same": 0.1, "bad": -5, "again": 0, "coarse": -20}
CONTROLS = {"again": "no evidence", "coarse": "hurts"}


def compared(values, controls=CONTROLS, classes=None, paper=(), comparable=False):
    """The values of a table of these rows, and its paragraph.

    `classes` are IoUs by class, by row or by row and seed.
    """
    lines, given = [], classes or {}
    for row, of_row in values.items():
        for seed, value in of_row.items():
            lines.append(("s", "t", row, f"s/{row}/{seed}", seed, "miou", value, "%", None))
            usual = given.get(row, {"cat": 60.0, "sky": 40.0})
            for name, iou in given.get((row, seed), usual).items():
                lines.append(("s", "t", row, f"s/{row}/{seed}", seed, f"iou/{name}", iou, "%", None))
        lines.append(("s", "t", row, row, None, "flops", 3e9 if row == "good" else 2e9, "FLOP", None))
        lines.append(("s", "t", row, row, None, "latency", 0.3 if row == "good" else 0.2, "s", "cpu"))
    rows = [
        TableRow(row, row, None if row == "plain" else "plain", [RowRun(f"s/{row}/{s}", s) for s in of_row])
        for row, of_row in values.items()
    ]
    frame = pd.DataFrame(lines, columns=TIMED_COLUMNS).astype({"seed": "Int64"})
    found = Comparison(rows, frame, list(paper), Scale("mine", comparable), Rules(), controls=controls)
    made = found.table(["miou", "flops", "testing_time"])
    return made, findings(made, controls or {})


def test_the_paragraph_says_what_the_numbers_support_and_no_more():
    _, text = compared(table(ROWS, noise=0.3))
    assert text[0].startswith("The controls hold: again reads `no evidence` (")
    assert "coarse reads `hurts` (−" in text[0]
    assert "Beside plain, 1 row does better: good (+" in text[1] and "at 1.50 times the FLOPs" in text[1]
    assert "1 row does worse: bad (−" in text[2]
    assert text[3].startswith("No evidence of a difference: same (")
    everything = " ".join(text)
    assert "again" not in everything.removeprefix(text[0])
    assert "time" not in everything.replace("times the FLOPs", ""), "what another machine would not find"
    assert "with 3 seeds a difference below" in everything and "Holm" in everything


@pytest.mark.parametrize(
    ("row", "effect", "said"),
    [
        ("again", 9, "again reads `helps` (+"),
        ("coarse", 0, "coarse reads `no evidence` ("),
        ("coarse", 9, "coarse reads `helps` (+"),
    ],
)
def test_a_control_that_fails_is_said_first(row, effect, said):
    _, text = compared(table({**ROWS, row: effect}, noise=0.3))
    assert text[0].startswith(f"A control failed, so nothing else in this table may be believed: {said}")
    assert f"must read `{CONTROLS[row]}`" in text[0]


def test_two_seeds_give_no_answer():
    made, text = compared(table(ROWS, seeds=2))
    assert text == [
        "The controls say nothing yet, for want of seeds: again, coarse.",
        "Too few seeds for an answer: good, same, bad.",
    ]
    assert {row.cells["miou"].answer.verdict for row in made.rows if not row.is_baseline} == {
        "inconclusive (n < 3)"
    }


def test_a_network_that_predicts_one_class_has_collapsed():
    background = {"cat": 0.0, "sky": 40.0}
    made, text = compared(table(ROWS, noise=0.3), classes={"good": background})
    answers = {row.row: row.cells["miou"].answer for row in made.rows}
    assert answers["good"].verdict == "collapsed" and answers["bad"].verdict == "hurts"
    assert "Collapsed, so that no answer rests on it: good; a run predicts one class" in " ".join(text)
    # a control that collapsed is no control that holds
    _, text = compared(table(ROWS, noise=0.3), classes={"coarse": background})
    assert text[0].startswith("A control failed") and "coarse reads `collapsed`" in text[0]


@pytest.mark.parametrize("seed", range(3))
def test_one_run_of_a_row_that_collapsed_is_enough(seed):
    made, _ = compared(table(ROWS, noise=0.3), classes={("good", seed): {"cat": 0.0, "sky": 40.0}})
    answers = {row.row: row.cells["miou"].answer for row in made.rows}
    assert answers["good"].verdict == "collapsed" and answers["bad"].verdict == "hurts"


def test_a_control_that_is_not_run_is_said_first():
    rows = {row: effect for row, effect in ROWS.items() if row != "again"}
    _, text = compared(table(rows, noise=0.3))
    assert text[0].startswith(
        "Whether this table may be believed is not known, for want of a control: again is not among the "
        "rows. coarse reads `hurts` (−"
    )
    _, text = compared(table({row: effect for row, effect in rows.items() if row != "coarse"}, noise=0.3))
    assert "again, coarse are not among the rows." in text[0] and "hold" not in text[0]
    # one that fails is worse than one that is missing
    _, text = compared(table({**rows, "coarse": 0}, noise=0.3))
    assert text[0].startswith("A control failed")


@pytest.mark.parametrize("nothing_at", [(0, 1), (0,), (1,)])
def test_masks_that_find_nothing_have_collapsed(nothing_at):
    rows = [
        TableRow(row, row, baseline, [RowRun(f"s/{row}/{seed}", seed) for seed in range(2)])
        for row, baseline in (("a", None), ("b", "a"))
    ]
    found = {"ap": 30.0, "mask_ap": 25.0, "mask_ap_gap": 2.0}
    nothing = {"ap": 31.0, "mask_ap": 0.0, "mask_ap_gap": 0.0}
    lines = [
        ("s", "t", row, f"s/{row}/{seed}", seed, metric, value, "%", None)
        for row in ("a", "b")
        for seed in range(2)
        for metric, value in (nothing if row == "b" and seed in nothing_at else found).items()
    ]
    frame = pd.DataFrame(lines, columns=TIMED_COLUMNS).astype({"seed": "Int64"})
    made = Comparison(rows, frame, [], Scale("mine", False), Rules(), controls={}).table(["mask_ap_gap"])
    assert made.rows[1].cells["mask_ap_gap"].answer.verdict == "collapsed"


def test_no_verdict_beside_a_paper_rests_on_a_network_that_collapsed():
    values = table(ROWS, noise=0.3)
    printed = [Printed(row, "miou", 60.0, "%", "val") for row in ("plain", "good", "bad")]
    background = {"cat": 0.0, "sky": 40.0}

    def verdicts(collapsed):
        made, _ = compared(values, None, {collapsed: background}, printed, comparable=True)
        return {row.row: row.cells["miou"].verdict for row in made.rows}

    assert verdicts("good")["good"] == "collapsed" and "collapsed" not in (
        verdicts("good")["bad"],
        verdicts("good")["plain"],
    )
    assert {verdicts("plain")[row] for row in ("plain", "good", "bad")} == {"collapsed"}
    assert verdicts("plain")["same"] is None, "a row of which the paper prints nothing"


def test_beside_a_paper_no_row_is_asked():
    made, text = compared(table(ROWS), controls=None)
    assert text == [] and all(row.cells["miou"].answer is None for row in made.rows)
