"""How long the demo takes after installation: `python -m benchmarks.demo`.

Copies what git tracks into an empty folder, runs `snakemake --cores all` there, then once more. Prints
both times against their limits, how much of the first is work that the jobs' own sidecars account for, and
the best row of every table against what a network that learned has to reach.
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
GOALS = {"miou": 50.0, "ap50": 40.0, "cityscapes_ap50": 40.0}
"""Points that the best row of a table has to reach in a score, so that a newcomer sees something learned."""


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


def best_rows(folder: Path) -> dict[tuple[str, str], float]:
    """The best value of every table in each score of `GOALS` that it has, by table and score."""
    found = {}
    for path in sorted(folder.glob("results/demo/tables/*.json")):
        table = json.loads(path.read_text())["table"]
        for score in GOALS:
            cells = [row["cells"].get(score, {}).get("mean") for row in table["rows"]]
            if values := [value for value in cells if value is not None]:
                found[table["name"], score] = max(values)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "fusebench"
        clone(folder)
        first, again = snakemake(folder), snakemake(folder)
        best = best_rows(folder)
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
    for (table, score), value in best.items():
        said = "reaches" if value >= GOALS[score] else "MISSES"
        print(f"  {table:26} best {score:15} {value:5.1f} %, {said} {GOALS[score]:g}")


if __name__ == "__main__":
    run_command(main)
