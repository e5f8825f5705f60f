"""The tracked `.dvc` files: they say what the tables say, and DVC understands them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_src.data.archives import load_archives, load_weights
from pipeline_src.data.dvc_files import drift, write

from .conftest import REPOSITORY, step_environment


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tracked files that describe data, without anything fetched."""
    for table in ("archives", "weights"):
        (tmp_path / "data" / table).mkdir(parents=True)
        shutil.copy(REPOSITORY / "data" / f"{table}.csv", tmp_path / "data")
        for file in (REPOSITORY / "data" / table).glob("*.dvc"):
            shutil.copy(file, tmp_path / "data" / table)
    (tmp_path / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(REPOSITORY / ".dvc" / name, tmp_path / ".dvc")
    shutil.copy(REPOSITORY / ".gitignore", tmp_path)
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=step_environment(), capture_output=True, text=True)


def test_the_tracked_files_agree_with_the_tables():
    assert drift(REPOSITORY) == []


def test_a_changed_a_missing_and_a_stray_file_are_reported_and_repaired(copy: Path):
    folder = copy / "data" / "archives"
    changed, missing, stray = folder / "val2017.zip.dvc", folder / "train2017.zip.dvc", folder / "old.zip.dvc"
    changed.write_text(changed.read_text().replace("frozen: true", "frozen: false"))
    missing.unlink()
    stray.write_text("outs:\n- path: old.zip\n")
    assert drift(copy) == [
        "data/archives/train2017.zip.dvc: missing",
        "data/archives/val2017.zip.dvc: differs from its row",
        "data/archives/old.zip.dvc: in no table",
    ]
    assert write(copy) == len(load_archives(copy / "data/archives.csv")) + len(
        load_weights(copy / "data/weights.csv")
    )
    assert drift(copy) == [] and not stray.exists()


def test_the_command_reports_drift_in_one_line(copy: Path):
    command = (sys.executable, "-m", "pipeline_src.data.dvc_files")
    assert run(copy, *command, "--check").returncode == 0
    table = copy / "data" / "archives.csv"
    table.write_text(table.read_text().replace("1850626560", "1850626561"))
    done = run(copy, *command, "--check")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "VOC2012test.tar.dvc: differs" in done.stderr
    assert run(copy, *command, "--write").returncode == 0
    assert run(copy, *command, "--check").returncode == 0


def test_dvc_reads_every_file_and_fetches_nothing(copy: Path):
    assert run(copy, "git", "init", "-q").returncode == 0
    rows = {
        **{f"data/archives/{row.file}": row for row in load_archives(copy / "data/archives.csv").values()},
        **{f"data/weights/{row.file}": row for row in load_weights(copy / "data/weights.csv").values()},
    }
    # `dvc list` would show the same and asks every address for its size
    status = run(copy, sys.executable, "-m", "dvc", "status", "--json")
    assert status.returncode == 0, status.stderr
    stages = json.loads(status.stdout)
    # in .gitignore, `/data/archives/*` would hide the folder itself from DVC; it has to be `?*`
    assert set(stages) == {f"{path}.dvc" for path in rows}
    for path, row in rows.items():
        # "changed checksum" would be there if DVC's own digest of the stage were another one
        expected = "not in cache" if row.md5 else "deleted"
        assert stages[f"{path}.dvc"] == [{"changed outs": {path: expected}}]
        assert ("is frozen" in status.stderr and f"'{path}.dvc' is frozen" in status.stderr) == (
            row.login is None
        )
    assert not list(copy.glob("data/*/*.tar")) and not list(copy.glob("data/*/*.zip"))
    assert not (copy / ".dvc" / "cache").exists()


def test_git_tracks_the_descriptions_and_ignores_what_is_fetched(copy: Path):
    assert run(copy, "git", "init", "-q").returncode == 0
    ignored = [
        "data/archives/val2017.zip",
        "data/archives/val2017.zip.part",
        "data/archives/.val2017.zip.lock",
        "data/archives/coco2017_val.json",
        "data/weights/resnet50.tv_in1k.safetensors",
        "data/extracted/coco2017_val/x.jpg",
    ]
    tracked = [
        "data/archives.csv",
        "data/weights.csv",
        "data/weights/accepted.csv",
        "data/archives/val2017.zip.dvc",
        "data/weights/resnet50.tv_in1k.safetensors.dvc",
    ]
    done = run(copy, "git", "check-ignore", "--no-index", *ignored, *tracked)
    assert done.stdout.split() == ignored


def test_dvc_is_quiet_and_links_instead_of_copying(copy: Path):
    assert run(copy, "git", "init", "-q").returncode == 0
    shown = run(copy, sys.executable, "-m", "dvc", "config", "--list").stdout.split()
    assert set(shown) == {
        "core.analytics=false",
        "core.check_update=false",
        "core.autostage=true",
        "cache.type=reflink,hardlink,copy",
    }
