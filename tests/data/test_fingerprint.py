import os
import time

import pytest

from pipeline_src.data import fingerprint as module
from pipeline_src.data.fingerprint import DigestCache, cache_path, fingerprint
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file

OLD_NS = 1_600_000_000_000_000_000
SOURCES = ("train", "trainannot")


def test_counts_files_bytes_and_the_newest_time_of_the_sources_alone(masks_folder):
    root = masks_folder()
    files = [path for name in SOURCES for path in (root / name).iterdir()]
    found = fingerprint(root, SOURCES)
    assert found["files"] == len(files) == 6
    assert found["bytes"] == sum(len(path.read_bytes()) for path in files)
    assert found["newest_mtime_ns"] == max(path.stat().st_mtime_ns for path in files)
    (root / "val" / "new.png").write_bytes(b"x")
    (root / "train" / ".hidden").write_bytes(b"x")
    assert fingerprint(root, SOURCES) == found == fingerprint(root, reversed(SOURCES))


def test_sees_a_list_file_given_as_a_source(masks_folder):
    root = masks_folder()
    (root / "train.txt").write_text("a\n")
    before = fingerprint(root, (*SOURCES, "train.txt"))
    (root / "train.txt").write_text("b\n")
    assert fingerprint(root, (*SOURCES, "train.txt")) != before


def swap_names(root):
    (root / "train/a.png").rename(root / "train/x")
    (root / "train/b.png").rename(root / "train/a.png")
    (root / "train/x").rename(root / "train/b.png")


def put_back_with_an_old_time(root):
    path = root / "trainannot/b.png"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(OLD_NS, OLD_NS - 5))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "trainannot/a.png").write_bytes(b"changed"),
        lambda root: os.utime(root / "train/b.png"),
        lambda root: (root / "train/c.png").unlink(),
        lambda root: (root / "train/new.png").write_bytes(b""),
        lambda root: (root / "train/a.png").rename(root / "train/z.png"),
        swap_names,
        put_back_with_an_old_time,
    ],
    ids=["edit", "touch", "delete", "add", "rename", "swap", "older copy"],
)
def test_every_kind_of_change_shows(masks_folder, change):
    root = masks_folder()
    before = fingerprint(root, SOURCES)
    change(root)
    assert fingerprint(root, SOURCES) != before


def test_missing_root_or_source_is_named(masks_folder):
    root = masks_folder()
    with pytest.raises(InputError, match="nowhere: no such folder"):
        fingerprint(root / "nowhere", SOURCES)
    with pytest.raises(InputError, match="lost: no such file or folder"):
        fingerprint(root, (*SOURCES, "lost"))


def test_cache_reads_again_only_what_changed(masks_folder, tmp_path, monkeypatch):
    root = masks_folder()
    names = [f"train/{stem}.png" for stem in "abc"]
    cache = DigestCache(tmp_path / "cache.json", root)
    assert cache.pending_bytes(names) == sum((root / name).stat().st_size for name in names)
    assert [cache.digest(name) for name in names] == [digest_file(root / name) for name in names]
    cache.save()

    read = []
    monkeypatch.setattr(module, "digest_file", lambda path: read.append(path.name) or digest_file(path))
    again = DigestCache(tmp_path / "cache.json", root)
    assert again.pending_bytes(names) == 0
    (root / "train/b.png").write_bytes(b"new")
    os.utime(root / "train/b.png", ns=(OLD_NS, OLD_NS + 77))
    os.utime(root / "train/c.png", ns=(OLD_NS, OLD_NS + 99))
    assert [again.digest(name) for name in names] == [digest_file(root / name) for name in names]
    assert read == ["b.png", "c.png"]
    assert again.digest("train/none.png") is None


def test_cache_does_not_trust_a_file_that_was_only_just_written(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    cache = DigestCache(tmp_path / "cache.json", tmp_path)
    first = cache.digest("file")
    now = path.stat().st_mtime_ns
    path.write_bytes(b"two")
    os.utime(path, ns=(now, now))
    assert cache.digest("file") == digest_file(path) != first


def test_cache_of_another_root_or_a_damaged_one_is_not_used(masks_folder, tmp_path):
    root = masks_folder()
    path = tmp_path / "cache.json"
    cache = DigestCache(path, root)
    cache.digest("train/a.png")
    cache.save()
    assert DigestCache(path, root).files and not DigestCache(path, root / "train").files
    path.write_text('{"format": 1, "root"')
    assert DigestCache(path, root).files == {}
    path.write_text('{"format": 1, "root": "' + str(root.resolve()) + '", "files": [], "verified": null}')
    assert DigestCache(path, root).files == {}


def test_cache_forgets_files_that_are_gone_and_writes_only_changes(masks_folder, tmp_path):
    root = masks_folder()
    path = tmp_path / "cache.json"
    cache = DigestCache(path, root)
    for name in ("train/a.png", "train/b.png"):
        cache.digest(name)
    cache.keep_only(["train/b.png"])
    cache.save()
    assert set(DigestCache(path, root).files) == {"train/b.png"}
    path.unlink()
    cache.save()
    assert not path.exists()


def test_verified_fingerprint_is_kept_unless_it_is_of_this_moment(masks_folder, tmp_path):
    root = masks_folder()
    path = tmp_path / "cache.json"
    cache = DigestCache(path, root)
    old = fingerprint(root, SOURCES)
    cache.verify(old, "content")
    cache.verify({**old, "newest_mtime_ns": time.time_ns()}, "other")
    cache.save()
    assert DigestCache(path, root).verified == {"fingerprint": old, "content": "content"}


def test_cache_lies_outside_results():
    assert cache_path("camvid").as_posix() == "work/fingerprints/camvid.json"
