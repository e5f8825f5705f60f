"""The long tables: every value once, exact, times apart."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline_src.errors import InputError
from pipeline_src.reporting.long_table import COLUMNS, TIMED_COLUMNS, read_tidy, write_tidy
from pipeline_src.steps.join import best_rows
from pipeline_src.steps.tabulate import tabulate
from tests.reporting.made_up_study import read_csv


def tabulated(study):
    job = study.tabulate_job()
    tabulate(job)
    return read_csv(job.outputs["experiments"]), read_csv(job.outputs["timed"]), job


def test_every_run_has_its_scores_in_percent(make_study):
    study = make_study(seeds=2)
    experiments, _, _ = tabulated(study)
    scores = [line for line in experiments if line["metric"] == "miou"]
    assert len(scores) == 6 * 2
    for line in scores:
        metrics = json.loads((study.root / "runs" / line["run"] / "metrics.json").read_text())
        assert float(line["value"]) == 100 * metrics["miou"]
        assert line["unit"] == "%"
        assert line["run"].endswith(f"{line['row'].replace(' ', '-')}/seed-{line['seed']}")
    assert list(experiments[0]) == COLUMNS


def test_classes_without_an_iou_have_no_line(make_study):
    experiments, _, _ = tabulated(make_study())
    assert {line["metric"] for line in experiments if line["metric"].startswith("iou/")} == {
        "iou/background",
        "iou/aeroplane",
        "iou/bicycle",
        "iou/person",
    }


def test_costs_belong_to_architectures_and_stand_once_per_row(make_study):
    study = make_study(seeds=3)
    experiments, timed, _ = tabulated(study)
    flops = [line for line in experiments if line["metric"] == "flops"]
    assert [(line["run"], line["seed"]) for line in flops] == [
        (f"dfp/depth-{d}", "") for d in range(5, -1, -1)
    ]
    for line in flops:
        cost = json.loads((study.root / "cost" / line["run"] / "cost.json").read_text())
        assert float(line["value"]) == cost["flops"]
    assert {line["metric"] for line in timed} == {
        "latency",
        "latency_lower_quartile",
        "latency_upper_quartile",
        "step_time",
    }
    assert all(line["device"] == "cpu (x86_64), 2 threads, torch 2.15.0" for line in timed)
    assert list(timed[0]) == TIMED_COLUMNS


def test_memory_of_a_gpu_is_a_timed_value(make_study):
    experiments, timed, _ = tabulated(make_study(gpu=True))
    assert any(line["metric"] == "peak_memory" for line in timed)
    assert not any(line["metric"] in ("peak_memory", "latency") for line in experiments)


def test_other_times_change_nothing_but_the_timed_table(make_study):
    study = make_study()
    first, _, job = tabulated(study)
    content = json.loads(Path(job.outputs["sidecar"]).read_text())["content"]
    path = study.root / "cost" / "dfp/depth-3" / "timing.json"
    timing = json.loads(path.read_text()) | {"latency": 99.0, "device": {"name": "other"}}
    path.write_text(json.dumps(timing))
    second, timed, _ = tabulated(study)
    assert first == second
    assert content == json.loads(Path(job.outputs["sidecar"]).read_text())["content"]
    assert any(line["value"] == "99.0" for line in timed)


def test_rows_without_results_are_left_out_and_their_costs_are_not(make_study):
    study = make_study()
    study.rows[0] |= {"status": "no data", "reason": "needs a login"}
    experiments, _, _ = tabulated(study)
    metrics = {line["metric"] for line in experiments if line["row"] == "depth 5"}
    assert metrics == {"parameters", "flops", "saved_bytes"}


def test_a_study_in_two_tables_has_every_line_for_both(make_study):
    study = make_study()
    job = study.tabulate_job()
    job.params["tables"] = ["dfp_table1", "dfp_table2"]
    tabulate(job)
    lines = read_csv(job.outputs["experiments"])
    first = [{**line, "table": ""} for line in lines if line["table"] == "dfp_table1"]
    second = [{**line, "table": ""} for line in lines if line["table"] == "dfp_table2"]
    assert first == second
    assert len(first) + len(second) == len(lines)


def lines_of(*records):
    lines = pd.DataFrame([dict.fromkeys(COLUMNS, "x") | record for record in records])
    return lines.astype({"seed": "Int64"})


def test_numbers_survive_writing_and_reading_exactly(tmp_path):
    values = [1 / 3 + 1e-17, 1e-300, 123456789012345680.0, 55_000_000.0]
    write_tidy(tmp_path / "t.csv", lines_of(*({"value": value, "seed": 4} for value in values)))
    assert read_tidy(tmp_path / "t.csv")["value"].tolist() == values
    assert [line["value"] for line in read_csv(tmp_path / "t.csv")] == [repr(value) for value in values]


def test_a_cost_has_no_seed(tmp_path):
    write_tidy(tmp_path / "t.csv", lines_of({"value": 1.0, "seed": 4}, {"value": 1.0, "seed": None}))
    first, second = read_tidy(tmp_path / "t.csv")["seed"]
    assert first == 4 and second is pd.NA
    assert [line["seed"] for line in read_csv(tmp_path / "t.csv")] == ["4", ""]


def test_names_stay_what_they_are(tmp_path):
    names = ["NA", "null", "1e3", "a,b", 'say "x"', "", "True"]
    write_tidy(tmp_path / "t.csv", lines_of(*({"row": name, "value": 1.0, "seed": 0} for name in names)))
    assert read_tidy(tmp_path / "t.csv")["row"].tolist() == names


def test_tables_are_joined_line_by_line(tmp_path):
    for name in "ab":
        write_tidy(tmp_path / name, lines_of({"study": name, "value": 1.5, "seed": 0}))
    assert read_tidy([tmp_path / "a", tmp_path / "b"])["study"].tolist() == ["a", "b"]


def test_joining_refuses_other_columns(tmp_path):
    (tmp_path / "a").write_text("study,value\nx,1\n")
    with pytest.raises(InputError, match=r"a: columns are \['study', 'value'\], expected \['study', 'table'"):
        read_tidy([tmp_path / "a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{','.join(COLUMNS)}\nx,x,x,x,0,miou,a lot,%\n", "t.csv: miou is 'a lot', expected a number"),
        (f"{','.join(COLUMNS)}\nx,x,x,x,0,miou,inf,%\n", "t.csv: miou is 'inf', expected a number"),
        (
            f"{','.join(COLUMNS)}\nx,x,x,x,one,miou,1.0,%\n",
            "t.csv: seed is 'one', expected a whole number or nothing",
        ),
        (f"{','.join(COLUMNS)}\nx,x,x,x,0,miou,1.0,%,y\n", "t.csv: not a table"),
        ("", "t.csv: not a table"),
    ],
)
def test_a_damaged_table_is_named_in_one_line(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        read_tidy(tmp_path / "t.csv")
    assert "\n" not in str(refusal.value)


def test_a_list_of_inputs_that_does_not_fit_the_rows_is_refused(make_study):
    job = make_study().tabulate_job()
    job.inputs["metrics"] = job.inputs["metrics"][1:]
    with pytest.raises(InputError, match=r"inputs\.metrics: has 5 files for 6 runs"):
        tabulate(job)


def test_a_score_that_is_no_number_names_its_file(make_study):
    study = make_study()
    path = study.root / "runs" / "dfp/depth-3/seed-0" / "metrics.json"
    path.write_text(path.read_text().replace('"miou": 0.', '"miou": "a lot", "x": 0.'))
    with pytest.raises(InputError, match=r"depth-3/seed-0/metrics\.json: miou is 'a lot'"):
        tabulate(study.tabulate_job())


@pytest.mark.parametrize("key", ["latency", "latency_quartiles", "peak_memory"])
def test_a_time_that_is_not_in_the_file_is_no_silent_gap(make_study, key):
    study = make_study()
    path = study.root / "cost" / "dfp/depth-3" / "timing.json"
    timing = json.loads(path.read_text())
    del timing[key]
    path.write_text(json.dumps(timing))
    with pytest.raises(InputError, match=rf"depth-3/timing\.json: has no {key}"):
        tabulate(study.tabulate_job())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "depth 4"}, "'depth 4' stands for several rows"),
        ({"baseline": "depth 9"}, "'depth 5' has the baseline 'depth 9', which is no row"),
        (
            {"status": "lost"},
            "'depth 5' has status 'lost'; use run, no data, not at this scale, not run, server only",
        ),
    ],
)
def test_rows_that_make_no_sense_are_refused(make_study, change, message):
    study = make_study()
    study.rows[0] |= change
    job = study.tabulate_job()
    with pytest.raises(InputError, match=message):
        tabulate(job)


def test_the_best_rows_mean_is_over_all_seeds_and_counts_a_run_once():
    """Two tables that show one run, and three seeds of one row: none overwrites another."""
    lines = [
        {"table": table, "run": f"r/seed-{seed}", "seed": seed, "value": value}
        for table in ("one", "two")
        for seed, value in enumerate([1.0, 2.0, 6.0])
    ]
    lines.append({"table": "two", "run": "r/seed-3", "seed": 3, "value": 11.0})
    frame = lines_of(*({"study": "s", "row": "r", "metric": "miou", **line} for line in lines))
    lines = [
        {"study": "s", "row": "worse", "run": "w", "seed": 0, "metric": "miou", "value": 4.9},
        {"study": "s", "row": "worse", "run": "w", "seed": 0, "metric": "flops", "value": 1e9},
        {"study": "t", "row": "r", "run": "t", "seed": 0, "metric": "ap", "value": 40.0},
        {"study": "t", "row": "r", "run": "t", "seed": 0, "metric": "miou", "value": 70.0},
    ]
    frame = pd.concat([frame, lines_of(*({"table": "one", **line} for line in lines))])
    asked = {"s": "miou", "t": "ap", "without a value": "miou"}
    assert best_rows(frame, asked) == {"s": 5.0, "t": 40.0}
