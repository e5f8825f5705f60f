"""What a user sees while the workflow runs: one line per finished job, what is left, the time to go.

A plugin for Snakemake's logger (`--logger fusebench`, which profiles/default asks for where it is installed).
On a terminal a bar shows how far the run is; elsewhere every line says it. What a job found comes from
`summary` in its sidecar, the first output of every rule. Anything else that Snakemake says is shown
as Snakemake words it; shell commands only with `--printshellcmds`.
"""

import json
import logging
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

ERROR_LINES = 20
"""The last lines of a failed job's log that are shown."""

REASONS = ("error: ", "interrupted: ")
"""What the last line of a job's log begins with where it says all: bad input, or a request to stop."""

SILENT = {LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED, LogEvent.GROUP_INFO}
"""What says nothing about the work: host, versions, limits, numbers of started jobs."""


@dataclass
class Estimate:
    """How long the jobs that are left will take, from those that are done.

    A rule's jobs take as long as the rule's finished ones on average (before there is one: as all
    finished ones), and as many run side by side as did so far.
    """

    left: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    began: float = 0.0

    def start(self, jobs: dict[str, int], now: float) -> None:
        """Begin with the numbers of jobs by rule."""
        self.left, self.seconds, self.began = Counter(jobs), {}, now

    def finish(self, rule: str, seconds: float) -> None:
        """Note a finished job."""
        self.left[rule] -= 1
        self.seconds.setdefault(rule, []).append(seconds)

    def to_go(self, now: float) -> float | None:
        """Seconds until the last job is done; None before the first one is."""
        done = [second for of_rule in self.seconds.values() for second in of_rule]
        if not done or not sum(done):
            return None
        mean = sum(done) / len(done)
        means = {rule: sum(own) / len(own) for rule, own in self.seconds.items()}
        work = sum(count * means.get(rule, mean) for rule, count in self.left.items() if count > 0)
        at_once = max(1.0, sum(done) / max(now - self.began, 1e-9))
        return work / at_once


@dataclass
class Running:
    """A job that runs: what its line begins with, its rule, its sidecar, and since when."""

    said: str
    rule: str
    sidecar: Path | None
    began: float


class LogHandler(LogHandlerBase):
    """The handler that Snakemake hands its records to, one after the other, in a thread of its own."""

    stream: TextIO

    def __post_init__(self) -> None:
        """Begin with nothing known of the run."""
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.plain = self.common_settings.dryrun or self.common_settings.verbose
        self.running: dict[int, Running] = {}
        self.estimate = Estimate()
        self.line: str | None = None
        self.bar: Any = None
        self.working = False

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's log file stays as it is."""
        return False

    @property
    def has_filter(self) -> bool:
        """`--quiet` and `--printshellcmds` are Snakemake's own filter's matter."""
        return False

    @property
    def has_formatter(self) -> bool:
        """What has no form of its own here has Snakemake's."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """No graph is drawn."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, or remember what it says."""
        try:
            self._show(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Leave the terminal in order."""
        self._close_bar()
        super().close()

    def _show(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if self.plain:
            self._say(self.format(record))
        elif event in SILENT:
            return
        elif event == LogEvent.RUN_INFO:
            self._run_info(record)
        elif event == LogEvent.JOB_INFO:
            self._job_info(record)
        elif event == LogEvent.JOB_FINISHED:
            self._job_finished(record.job_id)  # type: ignore[attr-defined]
        elif event == LogEvent.PROGRESS:
            self._progress(record.done, record.total)  # type: ignore[attr-defined]
        elif event == LogEvent.JOB_ERROR:
            self._job_error(record)
        elif event == LogEvent.ERROR and getattr(record, "exception", "") == "RuleException":
            return  # the exit status of a job that is shown as failed
        elif event is not None or record.levelno >= logging.WARNING or not self.working:
            # while jobs run, plain remarks are the scheduler's about itself
            self._say(self.format(record))

    def _run_info(self, record: logging.LogRecord) -> None:
        stats = dict(getattr(record, "stats", {}))
        if not self.working:
            total = stats.pop("total", 0)
            self.estimate.start(stats, time.monotonic())
            jobs = ", ".join(f"{count} {rule}" for rule, count in stats.items() if rule != "all")
            self._say(f"{total} jobs: {jobs}")

    def _job_info(self, record: logging.LogRecord) -> None:
        self.working = True
        outputs = list(record.output)  # type: ignore[attr-defined]
        sidecar = Path(outputs[0]) if outputs and outputs[0].endswith(".json") else None
        rule: str = record.rule_name  # type: ignore[attr-defined]
        said = getattr(record, "rule_msg", None) or rule
        self.running[record.jobid] = Running(said, rule, sidecar, time.monotonic())  # type: ignore[attr-defined]

    def _job_finished(self, jobid: int) -> None:
        job = self.running.pop(jobid, None)
        if job is None:
            return
        seconds = time.monotonic() - job.began
        self.estimate.finish(job.rule, seconds)
        if job.sidecar is not None:
            found = summary_of(job.sidecar)
            self.line = (
                f"{job.said}: {found} ({duration(seconds)})" if found else f"{job.said} ({duration(seconds)})"
            )

    def _progress(self, done: int, total: int) -> None:
        seconds = self.estimate.to_go(time.monotonic())
        to_go = "" if seconds is None or done == total else f", about {duration(seconds)} to go"
        if self.stream.isatty():
            if self.line is not None:
                self._say(self.line)
            if self.bar is None:
                form = "{n_fmt} of {total_fmt} jobs {bar} {postfix}"
                self.bar = tqdm(
                    total=total, file=self.stream, bar_format=form, dynamic_ncols=True, leave=False
                )
            self.bar.total, self.bar.n = total, done
            self.bar.set_postfix_str(to_go.removeprefix(", "), refresh=False)
            self.bar.refresh()
        elif self.line is not None:
            self._say(f"[{done} of {total}{to_go}] {self.line}")
        self.line = None
        if done == total:
            self.working = False
            self._close_bar()

    def _job_error(self, record: logging.LogRecord) -> None:
        job = self.running.pop(record.jobid, None)  # type: ignore[attr-defined]
        what = job.said if job else record.rule_name  # type: ignore[attr-defined]
        said = getattr(record, "rule_msg", None)
        self._say(f"FAILED {what}: {first_sentence(said)}" if said else f"FAILED {what}")
        # The first is the job's own. A scheduler's log comes after it, and counts where the job said nothing.
        for log in record.log if self.common_settings.show_failed_logs else ():  # type: ignore[attr-defined]
            if lines := last_lines(Path(log)):
                self._say(f"  {log}:")
                for line in lines:
                    self._say(f"  {line}")
                break

    def _say(self, text: str | None) -> None:
        if not text or text == "None":
            return
        if self.bar is not None:
            self.bar.clear()
        self.stream.write(f"{text}\n")
        self.stream.flush()
        if self.bar is not None:
            self.bar.refresh()

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def summary_of(sidecar: Path) -> str | None:
    """What a job found, in a few words: the entry `summary` of its sidecar, if there is one."""
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def last_lines(log: Path) -> list[str]:
    """The end of a log file: its last line alone where that says why the job ended."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    except OSError:
        return []
    return lines[-1:] if lines and lines[-1].startswith(REASONS) else lines[-ERROR_LINES:]


def first_sentence(text: str) -> str:
    """`text` up to its first full stop, in one line."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".")


def duration(seconds: float) -> str:
    """`95` as `1 min 35 s`, `7300` as `2 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
