"""GPU slots: which GPUs a step sees, that no two share one, and that a killed step gives its own back."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_src.errors import InputError
from pipeline_src.planning.steps import STEPS
from pipeline_src.running.gpus import acquire, visible_gpus
from pipeline_src.running.run_job import torchrun
from tests.jobs import write_job_file

HOLD = (
    "import os, sys, time; from pipeline_src.running.gpus import acquire;"
    "taken, locks = acquire(int(sys.argv[1]), sys.argv[2].split(','), 0.05);"
    "print(*taken, flush=True); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hold(project):
    """Start a process that holds slots; all of them are ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(count: int, gpus: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(count), gpus],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(project)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def taken_by(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0,1", ["0", "1"]), ("", []), ("-1", []), ("GPU-ab, GPU-cd", ["GPU-ab", "GPU-cd"])],
)
def test_visible_gpus_follow_the_environment(monkeypatch, value, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == expected


def test_processes_get_different_gpus(hold):
    found = [taken_by(hold(1, "0,1,2")) for _ in range(3)]
    assert sorted(found) == [["0"], ["1"], ["2"]]


def test_a_process_waits_until_a_killed_one_gives_its_gpus_back(hold):
    first = hold(2, "0,1")
    assert taken_by(first) == ["0", "1"]
    second = hold(1, "0,1")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=0.5)
    first.send_signal(signal.SIGKILL)
    assert taken_by(second) in (["0"], ["1"])


def test_two_that_want_both_gpus_do_not_block_each_other(hold):
    both = [hold(2, "0,1"), hold(2, "0,1")]
    ready, _, _ = select.select([process.stdout for process in both], [], [])
    (winner,) = (process for process in both if process.stdout in ready)
    assert taken_by(winner) == ["0", "1"]
    winner.kill()
    (other,) = (process for process in both if process is not winner)
    assert taken_by(other) == ["0", "1"]


def test_more_gpus_than_there_are_is_refused():
    with pytest.raises(InputError, match="3 GPUs were granted, but only 2 are visible: 0, 1"):
        acquire(3, ["0", "1"])


def test_several_gpus_start_through_torchrun():
    several = torchrun(4, ["job.json", "--gpus", "4"])
    assert several[1:3] == ["-m", "torch.distributed.run"]
    assert "--nproc-per-node=4" in several
    assert several[-6:] == ["-m", "pipeline_src", "run", "job.json", "--gpus", "4"]


def devices_of_a_job(project: Path, step: str, *options: str, **environment: str) -> list[str]:
    """CUDA_VISIBLE_DEVICES in the processes of a job; a module loaded first stands in for its step."""
    job = write_job_file(Path.cwd(), step, {"threads": 1}, STEPS[step].paths("test", "demo"))
    module, function = STEPS[step].function.split(":")
    Path("sitecustomize.py").write_text(
        "import os, sys, types\n"
        f"step = types.ModuleType({module!r})\n"
        "def done(job, **options):\n"
        "    with open('rank' + os.environ.get('RANK', ''), 'w') as file:\n"
        "        file.write(os.environ.get('CUDA_VISIBLE_DEVICES', 'unset'))\n"
        f"step.{function} = done\n"
        f"sys.modules[{module!r}] = step\n"
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline_src", "run", str(job), *options],
        capture_output=True,
        text=True,
        env={**kept, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{project}", **environment},
    )
    assert done.returncode == 0, done.stderr
    return [path.read_text() for path in sorted(Path.cwd().glob("rank*"))]


def test_a_job_sees_one_gpu_only(project):
    assert devices_of_a_job(project, "train", "--gpus", "1", CUDA_VISIBLE_DEVICES="2,3") == ["2"]
    # in the process that was started, not in one of torchrun's, which would have a rank
    assert [path.name for path in Path.cwd().glob("rank*")] == ["rank"]


def test_a_training_has_a_process_for_every_gpu(project):
    assert devices_of_a_job(project, "train", "--gpus", "2", CUDA_VISIBLE_DEVICES="2,3,4") == ["2,3", "2,3"]


def test_a_slot_is_held_by_what_takes_the_place_of_its_process(project):
    """As torchrun does for a job of several GPUs."""
    look = (
        "import fcntl; slot = open('work/gpu-slots/0.lock', 'a')\n"
        "try: fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB); print('free')\n"
        "except OSError: print('held')"
    )
    start = (
        "import os, sys; from pipeline_src.running.run_job import take_gpus; take_gpus(1);"
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    )
    environment = {key: value for key, value in os.environ.items() if key != "SLURM_JOB_ID"}
    done = subprocess.run(
        [sys.executable, "-c", start, look],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(project), "CUDA_VISIBLE_DEVICES": "0"},
    )
    assert done.stdout == "held\n", done.stderr


def test_a_step_that_works_in_one_process_has_one(project):
    assert devices_of_a_job(project, "probe", "--gpus", "2", CUDA_VISIBLE_DEVICES="2,3,4") == ["2,3"]


def test_what_a_scheduler_chose_is_left_alone(project):
    environment = {"CUDA_VISIBLE_DEVICES": "5,6", "SLURM_JOB_ID": "1"}
    assert devices_of_a_job(project, "train", "--gpus", "1", **environment) == ["5,6"]


def test_without_gpus_nothing_is_changed(project):
    assert devices_of_a_job(project, "train", "--gpus", "0") == ["unset"]
