"""DVC's cache and remote as sources, with real DVC repositories."""

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.dvc_files import dvc_text
from pipeline_src.data.dvc_store import cached_file, find_dvc_root, has_remote, keep_in_cache
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
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty global and system settings of DVC, whatever this machine has."""
    folder = tmp_path / "settings"
    for level in ("global", "system"):
        (folder / level).mkdir(parents=True)
        monkeypatch.setenv(f"DVC_{level.upper()}_CONFIG_DIR", str(folder / level))
    return folder


@pytest.fixture
def repository(tmp_path: Path, settings: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / "data" / "archives").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    return root


def put(cache: Path, data: bytes = DATA, md5: str = MD5) -> Path:
    path = cache / "files" / "md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_repository_is_found_from_below_and_only_there(repository: Path, tmp_path: Path):
    assert find_dvc_root(repository / "data" / "archives") == repository.resolve()
    assert find_dvc_root(tmp_path) is None


def test_a_file_is_taken_from_the_cache_by_its_md5(repository: Path):
    put(repository / ".dvc" / "cache")
    fetched = fetch(ROW, repository / "data" / "archives")
    assert fetched.origin == "DVC cache"
    assert fetched.path.read_bytes() == DATA


def test_a_damaged_cache_is_not_trusted(repository: Path):
    put(repository / ".dvc" / "cache", DATA[:-1] + b"?")
    with pytest.raises(InputError, match="DVC cache: md5: expected"):
        fetch(RemoteFile("set", "set.tar", (), len(DATA), MD5), repository / "data" / "archives")
    assert not (repository / "data" / "archives" / "set.tar").exists()


@pytest.mark.parametrize("level", ["local", "repository", "global", "system"])
def test_the_cache_folder_may_be_set_at_any_level(
    repository: Path, settings: Path, tmp_path: Path, level: str
):
    cache = put(tmp_path / "shared cache") and tmp_path / "shared cache"
    file = {
        "local": repository / ".dvc" / "config.local",
        "repository": repository / ".dvc" / "config",
        "global": settings / "global" / "config",
        "system": settings / "system" / "config",
    }[level]
    # the repository's own file gives a path that counts from `.dvc`
    value = "../../shared cache" if level == "repository" else str(cache)
    with open(file, "a") as text:
        text.write(f'[cache]\n    dir = "{value}"\n')
    found = cached_file(repository, MD5)
    assert found is not None and found.read_bytes() == DATA


def test_the_cache_folder_is_the_one_that_dvc_names(repository: Path, tmp_path: Path):
    run(repository, "git", "init", "-q")
    for value in (None, "../elsewhere"):
        if value:
            dvc(repository, "cache", "dir", value)
        cache = Path(dvc(repository, "cache", "dir").strip())
        put(cache)
        found = cached_file(repository, MD5)
        assert found is not None and found.resolve().is_relative_to(cache.resolve())
        found.unlink()


def test_a_remote_is_noticed_at_any_level(repository: Path, settings: Path):
    assert not has_remote(repository)
    (settings / "global" / "config").write_text("[core]\nremote = team\n")
    assert has_remote(repository)


def test_a_file_goes_through_a_remote_to_another_clone(repository: Path, tmp_path: Path):
    archives = repository / "data" / "archives"
    run(repository, "git", "init", "-q")
    dvc(repository, "remote", "add", "-q", "-d", "team", str(tmp_path / "remote"))
    (archives / "set.tar.dvc").write_text(dvc_text(ROW, Path("data/archives.csv")))
    (archives / "set.tar").write_bytes(DATA)
    keep_in_cache(repository, MD5, archives / "set.tar")
    dvc(repository, "push", "-q", "data/archives/set.tar.dvc")
    cached = cached_file(repository, MD5)
    assert cached is not None and not cached.stat().st_mode & 0o222

    # as in another clone: no file, no cache
    (archives / "set.tar").unlink()
    cached.unlink()
    fetched = fetch(ROW, archives)
    assert fetched.origin == "DVC remote"
    assert fetched.path.read_bytes() == DATA

    # what the remote does not have comes from the next source
    other = DATA[::-1]
    row = RemoteFile("other", "other.tar", (), len(other), hashlib.md5(other).hexdigest())
    (archives / "other.tar.dvc").write_text(
        dvc_text(ROW, Path("data/archives.csv")).replace("set.tar", "other.tar")
    )
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "other.tar").write_bytes(other)
    assert fetch(row, archives, mirror=tmp_path / "mirror").origin.startswith("mirror ")
