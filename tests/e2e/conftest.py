"""A clean checkout as git would clone it, in which scale smoke is run once for all end-to-end tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


class Clone:
    """A checkout of its own with the project's environment on the path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"},
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "CUDA_VISIBLE_DEVICES": "",
            "HOME": str(root.parent / "home"),
        }

    def run(self, *command: str, status: int = 0, **environment: str) -> str:
        """Run a command here, check its exit status, return all that it prints."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1500,
        )
        assert done.returncode == status, done.stdout[-6000:]
        return done.stdout

    def path(self, name: str) -> Path:
        """A file of the checkout."""
        return self.root / name

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file."""
        text = self.path(name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        self.path(name).write_text(text.replace(old, new, 1))


def make_clone(root: Path, scale: str = "smoke") -> Clone:
    """What git tracks or would track of this project, with another scale, committed in a new repository."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=PROJECT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, files):
        if (PROJECT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, root / name)
    (root.parent / "home").mkdir(exist_ok=True)
    clone = Clone(root)
    clone.edit("params.yaml", "scale: demo", f"scale: {scale}")
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    clone.run("git", "init", "--quiet", "--initial-branch", "main")
    clone.run("git", "add", "--all")
    clone.run("git", *identity, "commit", "--quiet", "--message", "Copy for a test")
    return clone


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Clone:
    """A clone in which `snakemake --cores all` has run at scale smoke."""
    clone = make_clone(tmp_path_factory.mktemp("smoke") / "clone")
    # what a network costs here means nothing, so it need not be measured alone
    clone.path("first.log").write_text(clone.run("snakemake", "--cores", "all", "--set-threads", "cost=1"))
    return clone
