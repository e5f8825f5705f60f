"""Any process of a workflow is killed at any moment; a plain rerun ends with the same results, bit by bit."""

import json
import random
import re
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import BIN, Clone, make_clone

COMMAND = (str(BIN / "snakemake"), "--cores", "2", "--set-threads", "cost=1")
TIMED = re.compile(r"experiments_timed\.csv|timing\.json|report\.(html|json)|tradeoff|pareto|^tables/")
"""What holds times, or shows some; of tables the columns without times are compared."""
STAMP = ".snakemake_timestamp"
"""Snakemake's own mark in a folder, which a kill may keep it from setting."""


def small_clone(root: Path, studies: str) -> Clone:
    """A clone of scale smoke with some of its studies."""
    clone = make_clone(root)
    clone.edit("params.yaml", "select: all", f"select: {studies}")
    return clone


def results(clone: Clone) -> dict[str, Any]:
    """What a rerun has to repeat: the bytes of result files, and what records say without time and place."""
    root = clone.path("results/smoke")
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        said = json.loads(path.read_text()) if path.suffix == ".json" else None
        if isinstance(said, dict) and "environment" in said:
            content = said.get("untimed_content", said["content"])
            found[name] = None if TIMED.search(name) and "untimed_content" not in said else content
        elif path.is_file() and path.name != STAMP and not TIMED.search(name):
            found[name] = path.read_bytes()
    return found


def processes(clone: Clone) -> list[psutil.Process]:
    """Every process that works in the clone: Snakemake, jobs, the server that starts them, their children."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == clone.root and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kind_of(process: psutil.Process) -> str:
    """What a process is, by its command line: `snakemake`, a step, or another."""
    line = " ".join(process.cmdline())
    if step := re.search(r"/jobs/(\w+)/", line):
        return step[1]
    return "snakemake" if "snakemake" in line else "server" if "warm_start" in line else "other"


def run_until_done(clone: Clone, kills: int, seed: int, longest: float) -> Counter[str]:
    """Run the workflow, and kill one of its processes every few seconds; what was killed, by kind.

    A workflow that ends by that is started again, and at last once more without kills.
    """
    rng = random.Random(seed)
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        run = subprocess.Popen(
            COMMAND,
            cwd=clone.root,
            env=clone.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while killed.total() < kills and run.poll() is None:
            time.sleep(rng.uniform(0.3, longest))
            victims = processes(clone)
            if not victims or run.poll() is not None:
                continue
            victim = rng.choice(sorted(victims, key=lambda one: one.pid))
            try:
                kind = kind_of(victim)
                victim.kill()
                killed[kind] += 1
            except psutil.Error:
                pass  # it ended by itself
        if run.wait(900) == 0:
            break
    clone.run(*COMMAND)
    return killed


def check(tmp_path: Path, studies: str, kills: int, seed: int, longest: float) -> Counter[str]:
    undisturbed, disturbed = (small_clone(tmp_path / name / "clone", studies) for name in ("one", "two"))
    undisturbed.run(*COMMAND)
    killed = run_until_done(disturbed, kills, seed, longest)
    print(f"killed: {dict(killed)}")
    expected, found = results(undisturbed), results(disturbed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert "Nothing to be done" in disturbed.run(*COMMAND)
    return killed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_50_kills_of_any_process(tmp_path, seed):
    killed = check(tmp_path, "all", kills=50, seed=seed, longest=5)
    assert killed.total() >= 25 and killed["snakemake"] >= 2 and len(killed) >= 5


@pytest.mark.slow
def test_a_few_kills(tmp_path):
    assert check(tmp_path, "[dfp]", kills=5, seed=2, longest=4)
