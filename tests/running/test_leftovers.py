"""What a killed process left is removed, and nothing else."""

import signal
import subprocess
import sys

import pytest

from pipeline_src.running.leftovers import remove_leftovers

KILLED = """
import os, signal
from pipeline_src.files import atomic_folder, atomic_path
with {manager}("{target}") as path:
    (path / "a" if path.is_dir() else path).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("manager", "name"), [("atomic_path", "table.csv"), ("atomic_folder", "overlays")])
def test_what_a_kill_leaves_is_removed(project, tmp_path, manager, name):
    code = KILLED.format(manager=manager, target=tmp_path / name)
    done = subprocess.run([sys.executable, "-c", code], cwd=project)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    assert len(remove_leftovers([tmp_path / name])) == 1
    assert not list(tmp_path.iterdir())


def test_everything_else_stays(tmp_path):
    kept = ["table.csv", ".table.csv", ".table.csv.short.csv", "table.csv.abcdefgh.csv", ".hidden"]
    kept += [".table.md.abcdefgh.md", ".overlays.new-x", ".overlays.mine-12"]
    for name in kept:
        (tmp_path / name).write_text("x")
    assert remove_leftovers([tmp_path / "table.csv", tmp_path / "overlays", tmp_path / "none/here"]) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
