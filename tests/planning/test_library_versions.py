"""Results of other library versions: named by `plan`, and made again only where that is asked for."""

import json
from pathlib import Path

import pytest

from pipeline_src.files import write_json, write_text
from pipeline_src.planning import library_versions
from pipeline_src.planning.freshness import assess
from pipeline_src.planning.library_versions import in_words, library_changes, made_with
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.provenance.sidecar import Sidecar

INSTALLED = {"torch": "2.9.0", "numpy": "2.4.0"}


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """What is installed, to be changed, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    versions = dict(INSTALLED)
    monkeypatch.setattr(library_versions, "_installed", versions.get)
    return versions


def done(strict: bool) -> tuple[Plan, Path]:
    """A plan of one job that is done, and its record, of the versions that are installed."""
    plan = Plan("demo", strict_environment=strict)
    outputs = {"sidecar": "out/x.json", "value": "out/x.txt"}
    job = plan.add(PlannedJob("make", "x", "demo", {"a": 1}, outputs))
    job.__dict__["code"] = {"digest": "c", "modules": {}}
    write_text("out/x.txt", "value")
    plan.as_job(job).write_sidecar("value")
    record = json.loads(Path("out/x.json").read_text())
    record["environment"]["packages"] = dict(INSTALLED)
    write_json("out/x.json", record)
    return plan, Path("out/x.json")


@pytest.mark.parametrize("strict", [True, False])
def test_an_upgrade_makes_results_again_only_where_the_environment_is_strict(installed, strict):
    plan, record = done(strict)
    assert assess(plan)["make", "x"].fresh
    installed["torch"] = "2.11.0"
    status = assess(plan)["make", "x"]
    assert status.fresh is not strict
    assert status.why == ("library versions changed: torch 2.9.0 -> 2.11.0" if strict else None)
    assert library_changes(Sidecar.load(record)) == ["torch 2.9.0 -> 2.11.0"]


def test_a_library_that_is_not_installed_here_says_nothing(installed):
    plan, record = done(strict=True)
    del installed["torch"]
    assert assess(plan)["make", "x"].fresh
    assert library_changes(Sidecar.load(record)) == []


def test_of_a_training_that_was_recorded_later_the_versions_it_ran_with_count():
    _, record = done(strict=True)
    value = json.loads(record.read_text())
    value["training"] = {"sessions": [{"libraries": {"torch": "1"}}, {"libraries": {"torch": "2"}}]}
    write_json(record, value)
    assert made_with(Sidecar.load(record)) == {"torch": "2"}
    value["training"] = {"sessions": [{"from_step": 0}]}  # of before they were recorded
    write_json(record, value)
    assert made_with(Sidecar.load(record)) == INSTALLED


def test_one_line_says_how_many_results_are_of_which_versions():
    changes = [["torch 1 -> 2"], [], ["numpy 1 -> 2", "torch 1 -> 2"]]
    assert in_words(changes) == (
        "results of other library versions: numpy 1 -> 2 (1), torch 1 -> 2 (2); they stay, and with "
        "strict_environment: true they are made again"
    )
    assert in_words([[], []]) is None
