"""The cost step as the workflow runs it, and the benchmark on the same functions."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import dfp_cost
from pipeline_src.options import from_json
from pipeline_src.profiling.cost_params import MeasureCost
from pipeline_src.profiling.describe_segmentor import describe_segmentor
from pipeline_src.steps.cost import count_cost
from tests.jobs import run_job, write_job_file
from tests.profiling.sections import cost_params, section


def write_job(folder: Path, params: dict[str, Any]) -> Path:
    folder.mkdir()
    job = {
        "step": "cost",
        "name": "dfp/depth-2",
        "scale": "demo",
        "params": params,
        "inputs": {},
        "outputs": {name: str(folder / f"{name}.json") for name in ("sidecar", "cost", "timing")},
        "digest": "j",
    }
    return write_job_file(folder, **job)


def counted(**changes: Any) -> dict[str, Any]:
    return count_cost(from_json(MeasureCost, cost_params(**changes)))


def read_outputs(folder: Path) -> tuple[dict[str, Any], ...]:
    names = ("cost", "timing", "sidecar")
    return tuple(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in names)


def test_counts_are_equal_byte_for_byte_and_times_stand_apart(tmp_path: Path, project: Path) -> None:
    first = write_job(tmp_path / "first", cost_params())
    command = [sys.executable, "-m", "pipeline_src", "run", str(first)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    second = write_job(tmp_path / "second", cost_params(repeats=2))
    run_job(second)
    assert (tmp_path / "first/cost.json").read_bytes() == (tmp_path / "second/cost.json").read_bytes()
    cost, timing, sidecar = read_outputs(tmp_path / "first")
    described = describe_segmentor(section("resnet", 2), (64, 96))
    assert {key: cost[key] for key in described} == described
    assert cost["batch"] == 2
    assert cost["saved_bytes"] > 0
    assert sidecar["content"] == cost["content"] == read_outputs(tmp_path / "second")[2]["content"]
    assert timing["peak_memory"] is None or timing["peak_memory"] > 0
    assert timing["latency_quartiles"][0] <= timing["latency"] <= timing["latency_quartiles"][1]
    assert timing["step_time_quartiles"][0] <= timing["step_time"] <= timing["step_time_quartiles"][1]
    assert timing["device"]["threads"] == 1
    assert timing["repeats"] == 3
    assert sidecar["job"]["params"] == cost_params()


def test_content_follows_what_is_counted() -> None:
    content = counted()["content"]
    assert counted(threads=2, repeats=9)["content"] == content
    assert counted(depth=3)["content"] != content
    assert counted(crop=[64, 64])["content"] != content


def test_saved_bytes_are_those_of_a_micro_batch() -> None:
    recipe = {**cost_params()["recipe"], "accumulate": 2}
    accumulated = counted(batch=4, recipe=recipe)
    assert accumulated["saved_bytes"] == counted(batch=2)["saved_bytes"]
    assert accumulated["flops"] == counted(batch=2)["flops"]


@pytest.mark.parametrize("timed", [False, True])
def test_benchmark_prints_ratios_beside_the_papers(
    timed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--crop", "64", "--batch", "2", "--depths", "5", "1", "0"]
    options += ["--backbone", "resnet18.tv_in1k", "--threads", "1", "--repeats", "1", "--rounds", "2"]
    options += ["--json", str(tmp_path / "out.json")] + ([] if timed else ["--counted-only"])
    monkeypatch.setattr("sys.argv", ["dfp_cost", *options])
    dfp_cost.main()
    results = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [result["depth"] for result in results] == [5, 1, 0]
    assert results[0]["saved_bytes"] > results[1]["saved_bytes"] > results[2]["saved_bytes"]
    assert ("step_time" in results[0]) == timed
    lines = capsys.readouterr().out.splitlines()
    first = next(line for line in lines if line.split()[:1] == ["5"])
    assert first.split()[-2:] == ["x1.43", "x1.96"]
    assert f"x{results[0]['flops'] / results[2]['flops']:.2f}" in first
