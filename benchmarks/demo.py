"""How long the demo takes after installation: `python -m benchmarks.demo`.

Copies what git tracks into an empty folder, runs `snakemake --cores all` there, then once more. Prints
both times against their limits, and how much of the first is work that the jobs' own sidecars account
for.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline_src.errors import run_command

FIRST_LIMIT = 300.0
AGAIN_LIMIT = 5.0


def clone(target: Path) -> None:
    """Clone this checkout's last commit."""
    subprocess.run(["git", "clone", "--quiet", ".", str(target)], check=True)


def snakemake(folder: Path) -> float:
    """Seconds of `snakemake --cores all` in a folder."""
    program = str(Path(sys.executable).with_name("snakemake"))
    start = time.perf_counter()
    subprocess.run(
        [program, "--cores", "all", "--config", "scale=demo"], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "fusebench"
        clone(folder)
        first, again = snakemake(folder), snakemake(folder)
        work = [
            json.loads(path.read_text())["timing"]["seconds"]
            for path in folder.glob("results/demo/**/*.json")
            if '"timing"' in path.read_text() and path.name != "timing.json"
        ]
    cores = os.cpu_count() or 1
    print(f"the demo on {cores} cores, from a clone of the last commit")
    for run, seconds, limit in (("first", first, FIRST_LIMIT), ("second", again, AGAIN_LIMIT)):
        print(f"  {run:6} run {seconds:6.1f} s   {seconds / limit:5.2f} x the limit of {limit:g} s")
    print(f"  inside jobs {sum(work):6.1f} s in {len(work)} jobs, imports not counted")


if __name__ == "__main__":
    run_command(main)
