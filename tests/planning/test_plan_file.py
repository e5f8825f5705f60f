"""The plan that the processes of one workflow run share, and what is left of old ones."""

import json
import os
import time
from pathlib import Path

import pytest

from pipeline_src.errors import InputError
from pipeline_src.planning.plan_file import KEPT_SECONDS, PLAN_VARIABLE, PlanFile, PlannedFile, prune


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PLAN_VARIABLE, "before")


def plan_of(*files: str) -> PlanFile:
    return PlanFile("demo", {"train": {file: PlannedFile(file, "not done yet") for file in files}}, warm=True)


def test_a_plan_is_read_as_it_was_written():
    path = plan_of("a.json").publish(keep=lambda: True)
    assert PlanFile.of_this_run() == (plan_of("a.json"), path)
    assert os.environ[PLAN_VARIABLE] == path


def test_planning_again_writes_another_file():
    first = plan_of("a.json").publish(keep=lambda: True)
    text = Path(first).read_text()
    second = plan_of("b.json").publish(keep=lambda: True)
    assert first != second and Path(first).read_text() == text


def test_without_a_plan_single_jobs_are_refused(monkeypatch):
    monkeypatch.delenv(PLAN_VARIABLE)
    with pytest.raises(InputError, match="FUSEBENCH_PLAN is not set"):
        PlanFile.of_this_run()


@pytest.mark.parametrize("text", ["[]", '{"format": 2}', '{"format": 1, "scale": "demo"}'])
def test_what_is_no_plan_is_refused(text):
    Path("plan.json").write_text(text)
    with pytest.raises(InputError, match=r"plan\.json: no plan of format 1"):
        PlanFile.load("plan.json")


def test_plans_that_cannot_be_read_stop_no_other():
    plan = plan_of("work/demo/jobs/train/kept.json")
    plan.publish(keep=lambda: True)
    for name, text in (("half", '{"format'), ("other", '{"format": 99}')):
        Path(f"work/demo/plans/{name}.json").write_text(text)
    kept = Path("work/demo/jobs/train/kept.json")
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    old = time.time() - 2 * KEPT_SECONDS
    os.utime(kept, (old, old))
    prune("demo")
    assert kept.exists() and Path("work/demo/plans/half.json").exists()


@pytest.mark.parametrize(("days", "stays"), [(1, True), (89, True), (91, False)])
def test_plans_and_the_jobs_that_no_plan_names_stay_for_ninety_days(days, stays):
    plan = Path(plan_of("work/demo/jobs/train/other.json").publish(keep=lambda: True))
    job = Path("work/demo/jobs/train/mine.json")
    job.parent.mkdir(parents=True)
    job.write_text("{}")
    then = time.time() - days * 24 * 60 * 60
    for path in (plan, job):
        os.utime(path, (then, then))
    prune("demo")
    assert (plan.exists(), job.exists()) == (stays, stays)


# a job's name has as many parts as it likes, and each but the last is a folder (`Job.path`)
@pytest.mark.parametrize("folder", ["report", "train/dfp", "train/dfp/depth-2"])
def test_only_what_is_old_and_that_no_plan_names_is_removed(folder):
    folder = Path("work/demo/jobs", folder)
    folder.mkdir(parents=True)
    old = time.time() - KEPT_SECONDS - 1
    for name, moment in (("named", old), ("unnamed", old), ("young", time.time())):
        (folder / f"{name}.json").write_text("{}")
        os.utime(folder / f"{name}.json", (moment, moment))
    plan_of(str(folder / "named.json")).publish(keep=lambda: True)
    outdated = Path(plan_of(str(folder / "unnamed.json")).publish(keep=lambda: True))
    os.utime(outdated, (old, old))
    prune("demo")
    assert sorted(path.stem for path in folder.iterdir()) == ["named", "young"]
    assert not outdated.exists()
    assert json.loads(next(Path("work/demo/plans").iterdir()).read_text())["scale"] == "demo"
