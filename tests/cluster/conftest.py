"""One SLURM for all tests of a cluster, and a Snakemake that hands its jobs to it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.single_node import SingleNode, Unavailable, single_node, wait_for
from tests.graph.checkout import Checkout

PROFILE = ("--workflow-profile", "profiles/slurm")
QUICK = ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5")


@pytest.fixture(scope="session")
def slurm() -> Iterator[SingleNode]:
    """A node with two GPUs that are none; what runs on them computes on the CPU."""
    try:
        with single_node(gpus=2) as node:
            yield node
    except Unavailable as reason:
        pytest.exit(str(reason), returncode=1)


@pytest.fixture(autouse=True)
def _nothing_is_left(slurm) -> Iterator[None]:
    yield
    slurm.cancel_all()


@dataclass(frozen=True)
class Head:
    """A Snakemake that hands jobs of a checkout to SLURM; what it says is in `said`."""

    process: subprocess.Popen
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def finish(self, status: int = 0, seconds: float = 900) -> str:
        """Wait until it ends, check its exit status, and return what it said."""
        assert self.process.wait(seconds) == status, self.said
        return self.said


@pytest.fixture
def start() -> Iterator:
    """Starts Snakemake in a checkout, with the profile that we ship."""
    heads: list[Head] = []

    def start_one(checkout: Checkout, *arguments: str) -> Head:
        inherited = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
        log = checkout.root / f"head{len(heads)}.txt"
        program = Path(sys.executable).with_name("snakemake")
        with open(log, "w") as output:
            process = subprocess.Popen(
                [str(program), *PROFILE, *QUICK, *arguments],
                cwd=checkout.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited, "PYTHONPATH": "workflow/logger/src"},
            )
        heads.append(Head(process, log))
        return heads[-1]

    yield start_one
    for head in heads:
        if head.process.poll() is None:
            head.process.send_signal(signal.SIGKILL)
            head.process.wait()


@dataclass(frozen=True)
class Submitted:
    """A job as SLURM was asked for it."""

    id: str
    state: str
    rule: str
    name: str
    gpus: str
    cpus: int
    memory: str
    shares: bool


def submitted(slurm: SingleNode, checkout: Checkout) -> list[Submitted]:
    """All jobs that were ever submitted from a checkout, in order."""
    found = []
    for line in slurm.call("scontrol", "--oneliner", "show", "job").splitlines():
        said = dict(re.findall(r"(\w+)=(\S*)", line))
        if Path(said.get("WorkDir", "none")).resolve() == checkout.root.resolve():
            rule, _, name = said["Comment"].removeprefix("rule_").partition("_wildcards_")
            found.append(
                Submitted(
                    id=said["JobId"],
                    state=said["JobState"],
                    rule=rule,
                    name=name,
                    gpus=said.get("TresPerJob", ""),
                    cpus=int(said["NumCPUs"]),
                    memory=said["MinMemoryNode"],
                    shares=said["OverSubscribe"] != "NO",
                )
            )
    return sorted(found, key=lambda job: int(job.id))


def sessions(checkout: Checkout, run: str) -> list[int]:
    """The steps at which a training was continued."""
    path = checkout.root / "results/smoke/runs" / run / "train.json"
    return json.loads(path.read_text())["training"]["resumed_from"]


def log_of(checkout: Checkout, run: str) -> bytes:
    return (checkout.root / "results/smoke/runs" / run / "log.csv").read_bytes()


def wait_for_steps(checkout: Checkout, run: str, steps: int, head: Head) -> None:
    """Wait until a training has done so many steps."""

    def enough() -> bool:
        assert head.process.poll() is None, head.said
        for path in (checkout.root / "work/smoke/checkpoints" / run).glob("*/log.csv"):
            with open(path, newline="") as file:
                done = [row["step"] for row in csv.DictReader(file)]
            return bool(done) and int(done[-1]) >= steps
        return False

    wait_for(enough, 240, f"step {steps} of {run}")
