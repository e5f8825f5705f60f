"""What a user sees while the workflow runs, from records as Snakemake makes them, and in a run."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

SOURCE = Path(__file__).resolve().parents[2] / "workflow/logger/src"
sys.path.insert(0, str(SOURCE))

from snakemake_logger_plugin_fusebench import job_files, log_handler, time_to_go  # noqa: E402


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(log_handler.time, "monotonic", lambda: clock.now)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def handler(stream, **settings):
    common = {"stdout": False, "dryrun": False, "verbose": False, "show_failed_logs": True}
    made = log_handler.LogHandler(SimpleNamespace(**{**common, **settings}), None)
    made.stream = stream
    return made


def record(event=None, text="", level=logging.INFO, **entries):
    made = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    made.__dict__.update(event=event, **entries)
    return made


def job_info(jobid, rule="train", said=None, sidecar="none.json"):
    said = said or f"{rule} run-{jobid}"
    return record(LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, rule_msg=said, output=[sidecar, "b.csv"])


def finished(jobid, done, total):
    return [
        record(LogEvent.JOB_FINISHED, job_id=jobid),
        record(LogEvent.PROGRESS, done=done, total=total),
    ]


def feed(handler, *records):
    for one in records:
        handler.emit(one)


def test_a_line_says_what_a_job_found_how_many_are_left_and_for_how_long(tmp_path, clock):
    sidecar = tmp_path / "train.json"
    sidecar.write_text(json.dumps({"summary": "loss 0.41, mIoU 61.2 %"}))
    stream = io.StringIO()
    shown = handler(stream)
    feed(shown, record(LogEvent.RUN_INFO, "Job stats", stats={"train": 3, "cost": 1, "all": 1, "total": 5}))
    feed(shown, job_info(1, sidecar=str(sidecar)))
    clock.now += 10
    feed(shown, *finished(1, 1, 5))
    feed(shown, job_info(2))
    clock.now += 20
    feed(shown, *finished(2, 2, 5))
    assert stream.getvalue().splitlines() == [
        "5 jobs: 3 train, 1 cost",
        # one training done in 10 s: four jobs left, each as long
        "[1 of 5, about 40 s to go] train run-1: loss 0.41, mIoU 61.2 % (10 s)",
        # 15 s a training; of the others nothing is known, so they take the mean as well
        "[2 of 5, about 45 s to go] train run-2 (20 s)",
    ]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_what_a_job_found_is_said_once_though_others_end_that_say_nothing(clock, stream):
    shown = handler(stream)
    feed(shown, record(LogEvent.RUN_INFO, "", stats={"train": 1, "all": 1, "total": 3}))
    feed(shown, job_info(1), *finished(1, 1, 3))
    feed(shown, job_info(2, rule="all", sidecar="no-record.csv"), *finished(2, 2, 3))
    feed(shown, *finished(7, 3, 3))  # one of which nothing was known
    assert stream.getvalue().count("train run-1") == 1
    assert "all run-2" not in stream.getvalue()


def test_jobs_that_run_side_by_side_shorten_the_time_to_go(clock):
    estimate = time_to_go.Estimate()
    estimate.start({"train": 10}, clock.now)
    assert estimate.to_go(clock.now) is None
    clock.now += 10
    estimate.finish("train", 10.0)
    estimate.finish("train", 10.0)
    assert estimate.to_go(clock.now) == pytest.approx(8 * 10 / 2)


def test_jobs_that_are_left_take_as_long_as_those_of_their_own_rule():
    estimate = time_to_go.Estimate()
    estimate.start({"train": 3, "cost": 1, "figure": 1}, now=0)
    estimate.finish("cost", 1)
    estimate.finish("train", 9)
    # two trainings of 9 s; the rule that has none done counts as the mean of all
    assert estimate.to_go(now=10) == pytest.approx(9 + 9 + 5)


def test_numbers_of_jobs_that_come_while_jobs_run_begin_nothing_anew(clock):
    stream = io.StringIO()
    shown = handler(stream)
    feed(shown, record(LogEvent.RUN_INFO, "", stats={"train": 2, "total": 2}), job_info(1))
    clock.now += 10
    feed(shown, record(LogEvent.RUN_INFO, "", stats={"train": 9, "total": 9}), *finished(1, 1, 2))
    said = stream.getvalue().splitlines()
    assert said[0] == "2 jobs: 2 train"
    assert len(said) == 2 and said[1].startswith("[1 of 2, about 10 s to go]")


def test_a_terminal_has_a_bar_instead_of_numbers_in_every_line(clock):
    stream = Terminal()
    shown = handler(stream)
    feed(shown, record(LogEvent.RUN_INFO, "", stats={"train": 2, "total": 2}), job_info(1))
    clock.now += 5
    feed(shown, *finished(1, 1, 2))
    assert "train run-1 (5 s)\n" in stream.getvalue()
    assert "1 of 2 jobs" in stream.getvalue() and "about 5 s to go" in stream.getvalue()
    feed(shown, job_info(2), *finished(2, 2, 2))
    assert shown.bar is None


def test_a_failed_job_shows_the_end_of_its_log_and_no_command(tmp_path, clock):
    log = tmp_path / "train.log"
    log.write_text("".join(f"line {number}\n" for number in range(50)) + "ValueError: no\n")
    stream = io.StringIO()
    shown = handler(stream)
    error = record(
        LogEvent.JOB_ERROR, level=logging.ERROR, jobid=1, rule_name="train", log=[str(log)], shellcmd="python"
    )
    exception = record(LogEvent.ERROR, "RuleException: python", logging.ERROR, exception="RuleException")
    feed(shown, job_info(1), exception, error)
    said = stream.getvalue().splitlines()
    assert said[0] == "FAILED train run-1"
    assert said[-1] == "  ValueError: no"
    assert len(said) == 2 + job_files.ERROR_LINES and "python" not in stream.getvalue()


@pytest.mark.parametrize("last", ["error: recipes.dfp.lr: no", "interrupted: step 9 is saved, start again"])
def test_of_a_failed_job_of_a_cluster_the_lines_that_matter_are_shown(tmp_path, last):
    own, schedulers = tmp_path / "train.log", tmp_path / "12.log"
    own.write_text(f"step 8\n{last}\n")
    schedulers.write_text("srun: error: Killed\n" * 50)
    stream = io.StringIO()
    error = record(
        LogEvent.JOB_ERROR,
        level=logging.ERROR,
        jobid=1,
        rule_name="train",
        rule_msg="SLURM-job '12' failed, SLURM status is: 'TIMEOUT'. Detailed reason unavailable.",
        log=[str(own), str(schedulers)],
        shellcmd="python",
    )
    feed(handler(stream), job_info(1), error)
    failed = "FAILED train run-1: SLURM-job '12' failed, SLURM status is: 'TIMEOUT'"
    assert stream.getvalue().splitlines() == [failed, f"  {own}:", f"  {last}"]


def test_where_a_job_said_nothing_its_schedulers_log_is_shown(tmp_path):
    own, schedulers = tmp_path / "train.log", tmp_path / "12.log"
    own.touch()
    schedulers.write_text("srun: error: no such node\n")
    stream = io.StringIO()
    error = record(
        LogEvent.JOB_ERROR,
        level=logging.ERROR,
        jobid=1,
        rule_name="train",
        log=[str(own), str(schedulers)],
        shellcmd="python",
    )
    feed(handler(stream), job_info(1), error)
    assert stream.getvalue().splitlines()[1:] == [f"  {schedulers}:", "  srun: error: no such node"]


def test_warnings_and_errors_are_always_shown_and_small_talk_only_before_and_after(clock):
    stream = io.StringIO()
    shown = handler(stream)
    feed(
        shown, record(text="Building DAG of jobs..."), record(LogEvent.WORKFLOW_STARTED, "host"), job_info(1)
    )
    feed(shown, record(text="Select jobs to execute..."), record(text="disk is full", level=logging.WARNING))
    feed(shown, *finished(1, 1, 1), record(text="The report is there"))
    said = [line for line in stream.getvalue().splitlines() if not line.startswith("[")]
    assert said == ["Building DAG of jobs...", "disk is full", "The report is there"]


def test_a_dry_run_is_shown_as_snakemake_words_it():
    stream = io.StringIO()
    shown = handler(stream, dryrun=True)
    feed(shown, record(LogEvent.RUN_INFO, "Job stats:\njob  count", stats={"train": 1}))
    assert stream.getvalue() == "Job stats:\njob  count\n"


@pytest.mark.parametrize("text", ["", "[]", '{"content": "x"}', '{"summary": 3}'])
def test_a_sidecar_without_a_summary_is_no_trouble(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    assert job_files.summary_of(tmp_path / "x.json") is None
    assert job_files.summary_of(tmp_path / "absent.json") is None


SNAKEFILE = """
rule all:
    input: expand("out/{x}.json", x=range(2)), "out/bad.json"
rule train:
    output: "out/{x,[0-9]}.json"
    log: "log/{x}.log"
    message: "train run-{wildcards.x}"
    shell: "echo '{{\\"summary\\": \\"loss 0.{wildcards.x}\\"}}' > {output}"
rule bad:
    output: "out/bad.json"
    log: "log/bad.log"
    message: "train badly"
    shell: "echo error: recipes.x: no such > {log}; exit 2"
"""


@pytest.fixture
def snakemake(tmp_path, project):
    """Run Snakemake with the project's default profile on a small workflow; the plugin is there or not."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "profiles/default").mkdir(parents=True)
    profile = (project / "profiles/default/config.yaml").read_text()
    (tmp_path / "profiles/default/config.yaml").write_text(profile)

    def run(*arguments: str, installed: bool) -> str:
        path = str(SOURCE) if installed else ""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("snakemake")), "--cores", "2", "--retries", "0", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr

    return run


def test_the_profile_uses_the_plugin_where_it_is_installed(snakemake):
    said = snakemake(installed=True)
    assert "3 jobs: " not in said and "4 jobs: 1 bad, 2 train" in said
    assert "train run-1: loss 0.1 (" in said and "train run-0: loss 0.0 (" in said
    assert "FAILED train badly\n  log/bad.log:\n  error: recipes.x: no such\n" in said
    assert "echo" not in said
    assert "echo" in snakemake("--printshellcmds", "--forceall", installed=True)


def test_plain_snakemake_works_without_the_plugin(snakemake):
    said = snakemake(installed=False)
    installed = subprocess.run(
        [sys.executable, "-c", "import snakemake_logger_plugin_fusebench"], capture_output=True
    )
    if installed.returncode == 0:
        pytest.skip("the plugin is installed in this environment")
    assert "Job stats:" in said and "train run-1" in said
