"""`run`: what it refuses before it starts, and what it hands to a step."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_src.errors import InputError
from pipeline_src.planning.plan_file import PLAN_VARIABLE, PlanFile, PlannedFile
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.planning.steps import FIGURE, JOIN, SIMULATE
from pipeline_src.provenance.job import Job
from pipeline_src.running import changed_meanwhile
from pipeline_src.running.changed_meanwhile import check_code, check_inputs, check_unchanged, watch
from pipeline_src.running.run_job import step_function
from tests.jobs import change_job, run_job, write_job_file

SIMULATION = {
    "maps": [1, 2, 8, 8], "mean": 0.4, "variances": [0.1, 0.9], "points": 2, "ratios": [2], "seed": 0,
    "confirm": 1,
}  # fmt: skip
PARAMS = {"simulation": SIMULATION, "threads": 1}


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(PLAN_VARIABLE, raising=False)


@pytest.fixture
def job() -> Path:
    """A job file that takes no time."""
    outputs = {name: f"{name}.json" for name in SIMULATE.outputs}
    return write_job_file(Path.cwd(), "simulate", PARAMS, outputs)


def test_a_file_that_is_written_while_it_is_imported_is_refused(job, monkeypatch):
    """Within the same second too, and with as many letters."""
    planned, file = Job.load(job), Path("code.py").absolute()
    file.write_text("x = 1")
    same = {"digest": planned.code["digest"], "modules": {"code.py": {}}}
    monkeypatch.setattr(changed_meanwhile, "code_identity", lambda *_: same)
    monkeypatch.setattr(changed_meanwhile, "ROOT", file.parent)
    noon = 1_700_000_000_000_000_000
    os.utime(file, ns=(noon, noon))
    stamps = check_code(planned)
    check_unchanged(planned, stamps)
    file.write_text("x = 2")
    os.utime(file, ns=(noon, noon + 1_000_000))
    with pytest.raises(InputError, match=r"code\.py changed while it was imported"):
        check_unchanged(planned, stamps)


def test_a_job_file_that_was_edited_is_refused_in_one_line(job):
    value = json.loads(job.read_text())
    value["params"]["threads"] = 2
    job.write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"test\.\w+\.json: was changed after it was planned") as error:
        run_job(job)
    assert "\n" not in str(error.value)
    assert not Path("simulation.json").exists()


def test_a_job_file_under_another_name_is_refused(job):
    with pytest.raises(InputError, match="was changed after it was planned"):
        run_job(job.rename("job.json"))


def test_planning_again_repairs_an_edited_file_and_leaves_others_alone(job):
    good = Job.load(job)
    before = job.stat().st_mtime_ns
    good.write(job)
    assert job.stat().st_mtime_ns == before
    job.write_text("{}")
    assert Job.load(good.write(job)) == good


def test_other_parameters_are_another_file(job):
    text = job.read_text()
    other = change_job(job, lambda job: job.params.update(threads=2))
    assert other != job and job.read_text() == text


def test_an_unknown_step_and_a_damaged_file_are_named(job):
    value = {**json.loads(job.read_text()), "format": 1}
    Path("old.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"old\.json: not a job file of format 2"):
        run_job("old.json")
    Path("half.json").write_text('{"format": 2, "step": "train", "components": []}')
    with pytest.raises(InputError, match=r"half\.json: not a whole job file"):
        run_job("half.json")


def test_a_job_begins_by_removing_what_a_killed_one_left(job):
    left = Path(".simulation.json.abcdefgh.json")
    left.write_text("half")
    run_job(job)
    assert not left.exists() and Path("simulation.json").is_file()


def test_the_reason_to_run_goes_from_the_plan_into_the_sidecar(job, monkeypatch):
    plan = PlanFile("demo", {"simulate": {"test": PlannedFile(str(job), "parameters changed: seed")}})
    monkeypatch.setenv(PLAN_VARIABLE, plan.publish(keep=lambda: True))
    run_job(job)
    assert json.loads(Path("sidecar.json").read_text())["job"]["why"] == "parameters changed: seed"


# --- results of another plan --------------------------------------------------------------------


@pytest.fixture
def chain(job) -> tuple[Plan, PlannedJob]:
    """A plan in which a figure reads a simulation that was made."""
    plan = Plan("demo")
    made = plan.create(SIMULATE, "x", params=PARAMS)
    reader = plan.create(
        FIGURE, "x", params={"kind": "none"}, inputs={"simulation": made.outputs["simulation"]}
    )
    run_job(plan.as_job(made).write())
    return plan, reader


def test_results_of_the_planned_jobs_are_read(chain):
    plan, reader = chain
    check_inputs(plan.as_job(reader))


def test_a_result_of_another_plan_is_refused(chain):
    other = Plan("demo")
    other.create(SIMULATE, "x", params={**PARAMS, "simulation": {**SIMULATION, "seed": 1}})
    job = other.as_job(other.add(chain[1]))
    with pytest.raises(
        InputError, match=r"figure x: results/demo/figures/.* is not of the planned simulate job"
    ):
        check_inputs(job)


def test_a_result_that_was_changed_since_is_refused(chain):
    plan, reader = chain
    file = Path(reader.inputs["simulation"])
    file.write_text(file.read_text().replace("0.4", "0.5"))
    with pytest.raises(InputError, match=r"simulation\.json is not the file that .*sidecar\.json describes"):
        check_inputs(plan.as_job(reader))


def test_a_result_that_was_removed_since_is_named_in_one_line(chain):
    plan, reader = chain
    Path(reader.inputs["simulation"]).unlink()
    with pytest.raises(
        InputError, match=r"figure x: \S*simulation\.json is missing, though \S*sidecar\.json"
    ):
        check_inputs(plan.as_job(reader))


def test_an_input_that_is_made_again_while_a_job_runs_leaves_no_record(chain, monkeypatch):
    plan, reader = chain
    file = Path(reader.inputs["simulation"])

    def step(job: Job, **_: object) -> None:
        for path in job.outputs.values():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
        file.write_text(json.dumps({**json.loads(file.read_text()), "content": "another"}))
        job.write_sidecar("content")

    Path(reader.sidecar).unlink(missing_ok=True)
    monkeypatch.setattr("pipeline_src.running.run_job.step_function", lambda _: step)
    with pytest.raises(InputError, match=r"figure x: .*simulation\.json changed while the job ran"):
        run_job(plan.as_job(reader).write())
    assert Path(reader.sidecar).read_bytes() == b""


def test_of_the_code_only_what_was_imported_late_has_to_be_the_planned(job, monkeypatch):
    monkeypatch.syspath_prepend(Path.cwd())
    early, late = Path("early_module.py").absolute(), Path("late_module.py").absolute()
    for file in (early, late):
        file.write_text("X = 1\n")
    importlib.import_module("early_module")
    check = watch(Job.load(job), changed_meanwhile._stamps([early, late]))
    for file in (early, late):
        file.write_text("X = 10\n")
    check()
    importlib.import_module("late_module")
    with pytest.raises(InputError, match=r"simulate test: \S*late_module\.py changed while it was imported"):
        check()
    for name in ("early_module", "late_module"):
        monkeypatch.delitem(sys.modules, name)


# --- code that is not the planned code ---------------------------------------------------------


@pytest.fixture
def checkout(tmp_path, project, monkeypatch) -> Path:
    """A copy of the package, with a job that was planned in it."""
    shutil.copytree(project / "pipeline_src", tmp_path / "pipeline_src")
    for study in ("a", "b"):
        Path(f"{study}.csv").write_text("study,table,row,run,seed,metric,value,unit,split\n")
    code = (
        "from pathlib import Path; from pipeline_src.planning.planned_job import Plan;"
        "from pipeline_src.planning.steps import JOIN; plan = Plan('demo');"
        "inputs = {'experiments': ['a.csv'], 'timed': ['b.csv']};"
        "print(plan.as_job(plan.create(JOIN, JOIN.only, params={'scores': {}}, inputs=inputs)).write())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return tmp_path / done.stdout.strip()


def start(job: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "pipeline_src", "run", str(job)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def edit(old: str, new: str) -> None:
    module = Path("pipeline_src/steps/join.py")
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new))


def test_code_that_was_edited_after_planning_is_refused_by_name(checkout):
    edit("def best_rows(", "def unused():\n    return 1\n\n\ndef best_rows(")
    done = start(checkout)
    assert done.returncode == 2
    assert done.stderr == (
        "error: job join experiments: the code changed after it was planned "
        "(pipeline_src/steps/join.py: unused); start the workflow again\n"
    )
    assert not Path(JOIN.path("sidecar", JOIN.only, "demo")).exists()


def test_a_comment_after_planning_is_no_change(checkout):
    edit("def best_rows(", "# a comment\ndef best_rows(")
    done = start(checkout)
    assert "changed" not in done.stderr


def test_what_a_job_names_is_imported_before_its_files_are_compared_again(job, monkeypatch):
    module = "pipeline_src.reporting.figures.upsampled_variance"
    monkeypatch.delitem(sys.modules, module, raising=False)
    step_function(replace(Job.load(job), components=("figure.upsampled_variance",)))
    assert module in sys.modules


def test_code_that_is_edited_while_it_is_imported_is_refused(checkout):
    # the start of jobs is no part of what identifies them
    module = Path("pipeline_src/running/run_job.py")
    hook = "    function: Callable[..., None] = getattr("
    late = (
        "    path = __import__('pathlib').Path('pipeline_src/files.py')\n"
        "    path.write_text(path.read_text() + 'LATE = 1\\n')\n"
    )
    text = module.read_text()
    assert hook in text
    module.write_text(text.replace(hook, late + hook))
    done = start(checkout)
    assert done.returncode == 2
    assert "pipeline_src/files.py" in done.stderr and "while it was imported" in done.stderr
