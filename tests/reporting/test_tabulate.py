"""The long tables: every value once, exact, times apart."""

import json
from pathlib import Path

import pytest

from pipeline_src.errors import InputError
from pipeline_src.reporting.tidy import COLUMNS, TIMED_COLUMNS, concatenate, read_records, write_records
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
    assert list(experiments[0]) == list(COLUMNS)


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
    assert list(timed[0]) == list(TIMED_COLUMNS)


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


def test_numbers_survive_writing_and_reading_exactly(tmp_path):
    value = 1 / 3 + 1e-17
    record = dict.fromkeys(COLUMNS, "x") | {"value": value, "seed": 4}
    write_records(tmp_path / "t.csv", [record, record | {"seed": ""}])
    first, second = read_records(tmp_path / "t.csv")
    assert first["value"] == value
    assert (first["seed"], second["seed"]) == (4, None)


def test_tables_are_joined_line_by_line(tmp_path):
    for name in "ab":
        write_records(tmp_path / name, [dict.fromkeys(COLUMNS, name) | {"value": 1.5, "seed": 0}])
    concatenate([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "all")
    assert [record["study"] for record in read_records(tmp_path / "all")] == ["a", "b"]


def test_joining_refuses_other_columns(tmp_path):
    (tmp_path / "a").write_text("study,value\nx,1\n")
    with pytest.raises(InputError, match="does not begin with study,table"):
        concatenate([str(tmp_path / "a")], tmp_path / "all")


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
        ({"row": "depth 4"}, "'depth 4' stands for several rows"),
        ({"baseline_row": "depth 9"}, "'depth 5' has the baseline 'depth 9', which is no row"),
        ({"status": "lost"}, "'depth 5' has status 'lost'; use run, no data, not run, server only"),
    ],
)
def test_rows_that_make_no_sense_are_refused(make_study, change, message):
    study = make_study()
    study.rows[0] |= change
    job = study.tabulate_job()
    with pytest.raises(InputError, match=message):
        tabulate(job)
