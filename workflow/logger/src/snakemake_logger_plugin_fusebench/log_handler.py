"""What a user sees while the workflow runs: one line per finished job, what is left, the time to go.

A plugin for Snakemake's logger (`--logger fusebench`, which profiles/default asks for where it is installed).
On a terminal a bar shows how far the run is; elsewhere every line says it. What a job found comes from
`summary` in its sidecar, the first output of every rule. Anything else that Snakemake says is shown
as Snakemake words it; shell commands only with `--printshellcmds`.
"""

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from snakemake_logger_plugin_fusebench.job_files import first_sentence, last_lines, summary_of
from snakemake_logger_plugin_fusebench.time_to_go import Estimate, duration

SILENT = {LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED, LogEvent.GROUP_INFO}
"""What says nothing about the work: host, versions, limits, numbers of started jobs."""


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
