"""A copy of the project to plan in, and what Snakemake says there."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline_src.provenance.job import Job
from tests.ordinary_user import without_root

PROJECT = Path(__file__).resolve().parents[2]
PARTS = (
    "Snakefile", "params.yaml", "dvc.yaml", "pyproject.toml", "pipeline_src", "workflow", "profiles", "data",
    "tests/graph", "examples",
)  # fmt: skip
CACHED = shutil.ignore_patterns("__pycache__")
FETCHED = shutil.ignore_patterns("extracted", "scenes", "user", "*.safetensors", "*.json", "*.tar", "*.zip")


@dataclass(frozen=True)
class Checkout:
    """A copy of the project's own files, without results."""

    root: Path

    @classmethod
    def copy_to(cls, root: Path, select: str = "all") -> "Checkout":
        """Copy everything that planning reads, with scale smoke; `select` as in `params.yaml`."""
        for part in PARTS:
            source, target = PROJECT / part, root / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=FETCHED if part == "data" else CACHED)
            else:
                shutil.copy2(source, target)
        checkout = cls(root)
        checkout.edit("params.yaml", "scale: demo", "scale: smoke")
        checkout.edit("params.yaml", "select: all", f"select: {select}")
        return checkout

    def run(self, *command: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the project's environment here and check its exit status."""
        program = Path(sys.executable).with_name(command[0])
        inherited = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "PYTHONPATH")}
        done = subprocess.run(
            [str(program), *command[1:]],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={**inherited, **environment},
            timeout=300,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def as_ordinary_user(self, *command: str) -> str:
        """Run a command without the right to write what is read-only, which root has; what it prints."""
        program = str(Path(sys.executable).with_name(command[0]))
        done = subprocess.run(
            [*without_root(), program, *command[1:]],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def finish(self, *arguments: str, **environment: str) -> None:
        """Pretend that every job has run."""
        self.run("python", "-m", "tests.graph.finished", *arguments, **environment)

    def dry_run(self, *arguments: str, **environment: str) -> dict[str, int]:
        """How many jobs of each rule `snakemake -n` would run."""
        done = self.run("snakemake", "-n", *arguments, **environment)
        return job_counts(done.stdout + done.stderr)

    def job(self, scale: str, step: str, name: str) -> Job:
        """The only job file of a job."""
        folder = self.root / "work" / scale / "jobs" / step
        (path,) = folder.glob(f"{name}.*.json")
        return Job.load(path)

    def why(self, step: str, name: str) -> list[str]:
        """The reasons why a job has to run."""
        found = json.loads(self.run("python", "-m", "pipeline_src", "plan", "--step", step, "--json").stdout)
        (job,) = (job for job in found["jobs"] if job["name"] == name)
        return job["why"]

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the first place of a text in a file of the checkout."""
        self._replace(file, "", old, new)

    def edit_smoke(self, old: str, new: str) -> None:
        """Replace text in what `params.yaml` says of scale smoke."""
        self._replace("params.yaml", "\n  smoke:\n", old, new)

    def _replace(self, file: str, after: str, old: str, new: str) -> None:
        path = self.root / file
        before, mark, rest = path.read_text().partition(after) if after else ("", "", path.read_text())
        assert old in rest, f"{old!r} is not in {file}"
        path.write_text(before + mark + rest.replace(old, new, 1))


def job_counts(output: str) -> dict[str, int]:
    """The `Job stats` table of Snakemake's output, without its total and the target rule."""
    rows = re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule not in ("total", "all")}
