"""How long planning takes, beside the same number of jobs in a bare Snakefile.

`python -m benchmarks.planning [--scale paper]` times `snakemake -n` at a scale in this checkout, and
`snakemake -n` of a workflow that has as many rules and jobs and no planner: the ratio is what exact
reruns cost. Run after a finished demo with `--scale demo`, it times a run with nothing to do.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline_src.config.load import load_params
from pipeline_src.errors import run_command
from pipeline_src.planning.summary_jobs import plan_everything

BARE = """\
rule all:
    input: {targets}

"""
RULE = """\
rule {step}:
    input: {inputs}
    output: "out/{step}/{{name}}.txt"
    log: "log/{step}/{{name}}.log"
    shell: "touch {{output}} > {{log}} 2>&1"

"""
LIMIT = 5.0


def bare_workflow(scale: str, folder: Path) -> int:
    """Write a Snakefile with as many jobs per rule as the plan has; returns the number of jobs."""
    jobs = plan_everything(load_params(scale=scale)).jobs.values()
    names: dict[str, list[str]] = {}
    for job in jobs:
        names.setdefault(job.step, []).append(job.name.replace("/", "-"))
    targets = ", ".join(f'"out/{step}/{name}.txt"' for step, own in names.items() for name in own)
    text = BARE.format(targets=targets)
    previous = ""
    for step, own in names.items():
        text += RULE.format(step=step, inputs=previous)
        previous = f'"out/{step}/{own[0]}.txt"'
    (folder / "Snakefile").write_text(text)
    return len(jobs)


def timed(command: list[str], folder: Path) -> float:
    """Wall-clock seconds of a command that has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def median_of(work: Callable[[], float], repeats: int) -> float:
    """Median of several runs, after one that is not counted."""
    work()
    return statistics.median(work() for _ in range(repeats))


def main() -> None:
    """Measure both and print the ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name)
        jobs = bare_workflow(options.scale, bare)
        peer = median_of(lambda: timed([snakemake, "-n"], bare), options.repeats)
    ours = median_of(
        lambda: timed([snakemake, "-n", "--config", f"scale={options.scale}"], Path.cwd()), options.repeats
    )
    print(
        f"planning {jobs} jobs at scale {options.scale}, median of {options.repeats}, {os.cpu_count()} cores"
    )
    print(f"  this project      {ours:6.2f} s   {ours / LIMIT:5.2f} x the limit of {LIMIT:g} s")
    print(f"  a bare Snakefile  {peer:6.2f} s   ours takes {ours / peer:.2f} x as long")


if __name__ == "__main__":
    run_command(main)
