"""What the page says first, beside the tables that it is counted from."""

from dataclasses import replace

import pandas as pd
import pytest

from pipeline_src.files import read_json, write_json
from pipeline_src.options import from_json
from pipeline_src.reporting.baseline_answers import Answer
from pipeline_src.reporting.by_class import MOST_ROWS, by_class
from pipeline_src.reporting.first_screen import first_screen, kind_of
from pipeline_src.reporting.intervals import Summary
from pipeline_src.reporting.table import Column, CostCell, FinishedTable, Line, ScoreCell
from pipeline_src.steps.table import make_table
from pipeline_src.steps.tabulate import tabulate

SCORE = Column("miou", "mIoU", "score", "%", 2, "", "higher", False, [], False, None, None, 2, None)
FLOPS = Column("flops", "FLOPs", "cost", "G", 2, "", "lower", False, [], False, None, None, 2, None)


def score(verdict=None, paper=None, answer=None, gain=None):
    return ScoreCell(
        mean=50.0, sd=1.0, n=3, interval=None, paper=paper, difference=None, baseline_difference=gain,
        paper_baseline_difference=None, verdict=verdict, reason="", paper_split=None, server_verdict=None,
        runs=["a/seed-0"], answer=answer,
    )  # fmt: skip


def cost(ratio=1.0, verdict=None, paper=None, noisy=False):
    return CostCell(1.0, None, ratio, paper, None, None, verdict, "", "a", noisy)


def line(name, cells, baseline="plain"):
    runs = [f"{name}/seed-{seed}" for seed in range(2)]
    return Line(name, baseline, name == baseline, None, "run", None, "a", runs, cells)


def table(rows, columns=(SCORE, FLOPS), findings=()):
    return FinishedTable(
        confidence=0.95, columns=list(columns), rows=rows, quoted=[], name="t", study="s", title="Title",
        notes=[], blocks=[], assumptions=[], findings=list(findings),
    )  # fmt: skip


def test_values_of_a_paper_are_counted_by_verdict_and_only_those_that_it_prints():
    columns = [replace(SCORE, published=True), replace(FLOPS, published=True)]
    rows = [
        line("a", {"miou": score("agrees", 1.0), "flops": cost(verdict="agrees", paper=1.0)}),
        line("b", {"miou": score("inconclusive (n < 3)", 1.0), "flops": cost(verdict=None)}),
        line("c", {"miou": score("no data", 1.0), "flops": cost(verdict="not at this scale", paper=2.0)}),
        line("d", {"miou": score("differs"), "flops": cost(verdict="direction only", paper=2.0)}),
    ]
    found = first_screen([(table(rows, columns), {})])
    assert found.papers[0].counts == {"agrees": 2, "inconclusive": 1, "not run": 2, "direction only": 1}
    assert found.papers[0].values == 6 and not found.rows
    assert found.counted == ["agrees", "direction only", "inconclusive", "not run"]


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("not comparable (demo)", "not comparable"),
        ("server only", "not run"),
        ("collapsed", "collapsed"),
        ("undefined", "undefined"),
        ("direction only", "direction only"),
    ],
)
def test_a_verdict_is_counted_under_its_name(verdict, kind):
    assert kind_of(verdict) == kind


def test_a_row_shows_its_answer_interval_and_cost_ratios():
    answer = Answer("helps", 1.234, (0.5, 2.0), 0.01, 0.75, True)
    rows = [
        line("plain", {"miou": score(), "flops": cost()}),
        line("DFP", {"miou": score(answer=answer), "flops": cost(1.5)}),
        line("DFP, slow", {"miou": score(answer=answer), "flops": cost(0.87, noisy=True)}),
    ]
    found = first_screen([(table(rows), {"DFP": "helps"})])
    assert [(one.row, one.answer, one.control) for one in found.rows] == [
        ("DFP", "helps", "helps"),
        ("DFP, slow", "helps", None),
    ]
    one = found.rows[0]
    assert (one.difference, one.interval, one.smallest) == ("+1.23", "+0.50 … +2.00", "0.75")
    assert (found.cost_headers, one.costs, found.rows[1].costs) == (["FLOPs"], ["1.50×"], ["0.87× (noisy)"])


def test_no_difference_is_shown_of_a_row_beside_a_network_that_collapsed():
    gain = Summary(19.5, 0.1, 1, None)
    rows = [
        line("plain", {"miou": score(), "flops": cost()}),
        line("dead", {"miou": score(answer=Answer("collapsed"), gain=gain), "flops": cost()}),
        line("one seed", {"miou": score(answer=Answer("inconclusive (n < 3)"), gain=gain), "flops": cost()}),
    ]
    assert [one.difference for one in first_screen([(table(rows), {})]).rows] == ["–", "+19.50"]


def test_a_table_that_may_not_be_believed_is_named_first():
    doubt = "A control failed, so nothing else in this table may be believed: x."
    rows = [line("plain", {"miou": score(), "flops": cost()})]
    found = first_screen([(table(rows, findings=[doubt, "More."]), {})])
    assert found.caveats == [("Title", doubt)]


# --- by class -----------------------------------------------------------------------------------

SPLIT = {"counted": {"what": "objects", "by_class": [7, 1200], "left_out": 0, "because": "", "first": 1}}


def experiments(rows, metrics, study="s"):
    lines = [
        (study, row, seed, metric, 10.0 * place + seed + number)
        for place, row in enumerate(rows)
        for seed in range(2)
        for number, metric in enumerate(metrics)
    ]
    return pd.DataFrame(lines, columns=["study", "row", "seed", "metric", "value"])


def lines_of(count):
    return [line("plain", {"miou": score()})] + [line(f"r{k}", {"miou": score()}) for k in range(1, count)]


def test_classes_stand_with_their_counts_and_differences_over_shared_seeds():
    tidy = experiments(["plain", "r1"], ["iou/cat", "iou/dog"])
    # a seed that the baseline lacks says nothing
    tidy = pd.concat([tidy, pd.DataFrame([("s", "r1", 5, "iou/cat", 99.0)], columns=tidy.columns)])
    other = experiments(["plain", "r1"], ["iou/cat"], study="another")
    found = by_class(
        table(lines_of(2), [SCORE]), pd.concat([other, tidy]), SPLIT, ["background", "cat", "dog"]
    )
    assert (found.score, found.what, found.baseline, found.rows) == ("mIoU", "objects", "plain", ["r1"])
    assert found.lines == [["cat", "7", "0.5", "+10.0"], ["dog", "1,200", "1.5", "+10.0"]]


def test_sizes_of_objects_follow_the_classes():
    ap = replace(SCORE, key="ap", header="AP")
    rows = [line(name, {"ap": score()}) for name in ("plain", "r1")]
    tidy = experiments(["plain", "r1"], ["ap/cat", "ap_small", "ap_large"])
    split = {**SPLIT, "small": 3, "medium": 4, "large": 0}
    found = by_class(table(rows, [ap]), tidy, split, ["background", "cat", "dog"])
    assert [entry[:2] for entry in found.lines] == [
        ["cat", "7"],
        ["small objects", "3"],
        ["large objects", "0"],
    ]


def test_rows_that_do_not_fit_are_counted():
    names = ["plain", *(f"r{k}" for k in range(1, MOST_ROWS + 4))]
    tidy = experiments(names, ["iou/cat"])
    found = by_class(table(lines_of(MOST_ROWS + 4), [SCORE]), tidy, SPLIT, ["background", "cat", "dog"])
    assert (len(found.rows), found.left_out) == (MOST_ROWS, 3)


def test_nothing_is_said_where_there_is_nothing_to_compare():
    tidy = experiments(["plain"], ["iou/cat"])
    assert by_class(table(lines_of(1), [SCORE]), tidy, SPLIT, ["background", "cat", "dog"]) is None
    assert (
        by_class(table(lines_of(2), [SCORE]), experiments(["plain", "r1"], ["x"]), SPLIT, ["b", "c", "d"])
        is None
    )


def test_ratios_of_times_that_scatter_are_noisy(make_study):
    study = make_study()
    timing = study.root / "cost/dfp/depth-2/timing.json"
    value = read_json(timing)
    value["latency_quartiles"] = [0.9 * value["latency"], 1.2 * value["latency"]]
    write_json(timing, value)
    tabulate(study.tabulate_job())
    job = study.table_job()
    make_table(job)
    made = from_json(FinishedTable, read_json(job.outputs["sidecar"])["table"])
    noisy = {row.row for row in made.rows if row.cells["testing_time"].noisy}
    assert noisy == {"depth 2"}
    block = next(block for block in made.blocks if block.title.startswith("Testing time"))
    assert [row[0].text for row in block.rows if any("noisy" in cell.text for cell in row)] == ["depth 2"]
