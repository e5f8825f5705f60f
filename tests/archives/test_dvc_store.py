"""DVC's cache and remote as sources, with real DVC repositories."""

import hashlib
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_src.data import dvc_store
from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.dvc_files import dvc_text
from pipeline_src.data.dvc_store import find_dvc_root, keep_in_cache
from pipeline_src.data.fetch import fetch
from pipeline_src.errors import InputError

from .conftest import step_environment

DATA = random.Random(3).randbytes(20_000)
MD5 = hashlib.md5(DATA).hexdigest()
ROW = RemoteFile("set", "set.tar", ("http://127.0.0.1:9/set.tar",), len(DATA), MD5)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, env=step_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dvc(folder: Path, *arguments: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *arguments)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository that tracks `set.tar` and lacks it, with no settings of this machine."""
    for level in ("GLOBAL", "SYSTEM"):
        (tmp_path / level).mkdir()
        monkeypatch.setenv(f"DVC_{level}_CONFIG_DIR", str(tmp_path / level))
    root = tmp_path / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / "data" / "archives").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    no_scm = true\n")
    track(root, ROW)
    return root


def track(root: Path, row: RemoteFile) -> Path:
    """The `.dvc` file of a row, as the tables write it."""
    pointer = root / "data" / "archives" / f"{row.file}.dvc"
    pointer.write_text(dvc_text(row, Path("data/archives.csv")))
    return pointer


def put(cache: Path, data: bytes = DATA) -> Path:
    path = cache / "files" / "md5" / MD5[:2] / MD5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_repository_is_found_from_below_and_only_there(repository: Path, tmp_path: Path):
    assert find_dvc_root(repository / "data" / "archives") == repository.resolve()
    assert find_dvc_root(tmp_path) is None


@pytest.mark.parametrize("cache", [".dvc/cache", "../shared cache"])
def test_a_file_is_taken_from_the_cache_wherever_that_is(repository: Path, cache: str):
    if cache != ".dvc/cache":
        dvc(repository, "cache", "dir", cache)
    put(repository / cache)
    fetched = fetch(ROW, repository / "data" / "archives")
    assert (fetched.origin, fetched.verified) == ("DVC", ("bytes", "md5"))
    assert fetched.path.read_bytes() == DATA


def test_a_damaged_cache_is_not_trusted(repository: Path):
    put(repository / ".dvc" / "cache", DATA[:-1] + b"?")
    with pytest.raises(InputError, match=r"set\.tar could not be fetched"):
        fetch(RemoteFile("set", "set.tar", (), len(DATA), MD5), repository / "data" / "archives")
    assert not (repository / "data" / "archives" / "set.tar").exists()


def test_what_dvc_brings_is_verified_again(repository: Path):
    put(repository / ".dvc" / "cache")
    row = RemoteFile("set", "set.tar", (), len(DATA), MD5, sha256="0" * 64)
    with pytest.raises(InputError, match=r"set\.tar: sha256: expected 0000.* \(set aside as set\.tar\.bad\)"):
        fetch(row, repository / "data" / "archives")
    assert not (repository / "data" / "archives" / "set.tar").exists()


def test_dvc_is_not_asked_for_what_it_does_not_track(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dvc_store, "_dvc", lambda *arguments: pytest.fail("dvc was asked"))
    (repository / "data" / "archives" / "set.tar.dvc").unlink()
    with pytest.raises(InputError, match="it has no address"):
        fetch(RemoteFile("set", "set.tar", (), len(DATA), MD5), repository / "data" / "archives")
    track(repository, ROW)
    with pytest.raises(InputError, match="no checksum of set is known"):
        fetch(RemoteFile("set", "set.tar", (), len(DATA)), repository / "data" / "archives")


def test_a_file_goes_through_a_remote_to_another_clone(repository: Path, tmp_path: Path):
    archives = repository / "data" / "archives"
    dvc(repository, "remote", "add", "-q", "-d", "team", str(tmp_path / "remote"))
    (archives / "set.tar").write_bytes(DATA)
    keep_in_cache(repository, MD5, archives / "set.tar")
    dvc(repository, "push", "-q", "data/archives/set.tar.dvc")
    cached = repository / ".dvc" / "cache" / "files" / "md5" / MD5[:2] / MD5[2:]
    assert not cached.stat().st_mode & 0o222

    # as in another clone: no file, no cache
    (archives / "set.tar").unlink()
    cached.unlink()
    fetched = fetch(ROW, archives)
    assert fetched.origin == "DVC"
    assert fetched.path.read_bytes() == DATA

    # what the remote does not have comes from the next source
    other = DATA[::-1]
    row = RemoteFile("other", "other.tar", (), len(other), hashlib.md5(other).hexdigest())
    track(repository, replace(row, urls=ROW.urls))
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "other.tar").write_bytes(other)
    assert fetch(row, archives, mirror=tmp_path / "mirror").origin.startswith("mirror ")
