"""What a sidecar says of the commit: its hash, and whether code, parameters or workflow differed from it."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline_src.provenance.git import describe_commit


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    tracked = ("pipeline_src/a.py", "params.yaml", "Snakefile", "workflow/rules.smk", "dvc.yaml")
    for name in (*tracked, "profiles/x.yaml", "README.md", "docs/a.md", "tests/a.py", "data/a.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_clean_checkout_has_its_commit_and_is_not_dirty(checkout: Path) -> None:
    assert describe_commit(checkout) == {"commit": git(checkout, "rev-parse", "HEAD"), "dirty": False}


@pytest.mark.parametrize(
    "name",
    ["pipeline_src/a.py", "params.yaml", "Snakefile", "workflow/rules.smk", "dvc.yaml", "profiles/x.yaml"],
)
def test_a_change_in_what_decides_results_is_dirty(checkout: Path, name: str) -> None:
    (checkout / name).write_text("x = 2\n")
    assert describe_commit(checkout)["dirty"] is True


def test_a_new_module_is_dirty_and_a_changed_note_is_not(checkout: Path) -> None:
    for name in ("README.md", "docs/a.md", "tests/a.py", "data/a.csv"):
        (checkout / name).write_text("more\n")
    (checkout / "results").mkdir()
    (checkout / "results/a.json").write_text("{}")
    assert describe_commit(checkout)["dirty"] is False
    (checkout / "pipeline_src/b.py").write_text("y = 1\n")
    assert describe_commit(checkout)["dirty"] is True


@pytest.mark.parametrize("name", ["my_ideas/unet.py", "mine.yaml", "examples/other.yml"])
def test_a_users_own_idea_or_overlay_is_dirty(checkout: Path, name: str) -> None:
    (checkout / name).parent.mkdir(exist_ok=True)
    (checkout / name).write_text("x = 2\n")
    assert describe_commit(checkout)["dirty"] is True


def test_outside_a_checkout_nothing_is_claimed(tmp_path: Path) -> None:
    assert describe_commit(tmp_path) == {"commit": None, "dirty": None}


def test_a_refusal_of_git_is_recorded_and_says_what_helps(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    found = describe_commit(checkout)
    assert (found["commit"], found["dirty"]) == (None, None)
    assert "dubious ownership" in found["refused"]
    assert f"safe.directory {checkout}" in capsys.readouterr().err
    assert describe_commit(checkout) == found
    assert capsys.readouterr().err == ""  # said once


def test_a_status_that_git_cannot_give_is_not_called_clean(checkout: Path) -> None:
    (checkout / ".git" / "index").write_text("no index")
    assert describe_commit(checkout) == {"commit": git(checkout, "rev-parse", "HEAD"), "dirty": None}
