"""Files are written whole or not at all, and are on the disk before they take the place of others."""

import os
import stat
from pathlib import Path

import pytest

from pipeline_src.files import (
    atomic_folder,
    atomic_path,
    content_of,
    digest_of,
    read_json,
    write_json,
    write_text,
)


def test_content_is_on_the_disk_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the first, a crash can leave an empty file; without the second, the old name."""
    target = tmp_path / "a.json"
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        events.append("folder" if folder else "file")
        if not folder:
            assert os.fstat(handle).st_size == 3
        fsync(handle)

    def recorded_replace(source: str, destination: str) -> None:
        events.append("rename")
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    write_text(target, "abc")
    assert events == ["file", "rename", "folder"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_others_may_read_a_file_as_one_that_open_makes(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "ours", "abc")
        with open(tmp_path / "plain", "w"):
            pass
    finally:
        os.umask(before)
    ours, plain = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain"))
    assert ours == plain == 0o666 & ~umask


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_numbers_that_json_has_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_content_is_what_a_record_says_not_when(tmp_path: Path) -> None:
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        write_json(tmp_path / f"{name}.json", {"content": digest_of([1, 2]), "seconds": seconds})
    assert content_of(tmp_path / "a.json") == content_of(tmp_path / "b.json") == digest_of([1, 2])
    write_json(tmp_path / "c.json", {"seconds": 1.0})
    write_json(tmp_path / "d.json", {"seconds": 2.0})
    assert content_of(tmp_path / "c.json") != content_of(tmp_path / "d.json")
    assert read_json(tmp_path / "c.json") == {"seconds": 1.0}


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "pictures"
    with atomic_folder(target) as new:
        (new / "a").write_text("1")
    assert [path.name for path in target.iterdir()] == ["a"]
    with pytest.raises(KeyError), atomic_folder(target) as new:
        (new / "b").write_text("2")
        raise KeyError
    assert [path.name for path in target.iterdir()] == ["a"]
    with atomic_folder(target) as new:
        (new / "b").write_text("2")
        assert (target / "a").read_text() == "1"
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
