import os
import signal
import stat
import time
from pathlib import Path
from unittest import mock

import pytest
import torch

from pipeline_src.errors import InputError
from pipeline_src.training.checkpoint import CheckpointFolder, load_checkpoint
from tests.training.toy_training import PROCESSES

JOB = "a" * 64


def folder_at(path, job=JOB, inputs=None):
    path.mkdir(exist_ok=True)
    return CheckpointFolder(path, job, inputs or {"manifest": "m1"})


def state(step):
    return {"model": {"weight": torch.full((50,), float(step))}, "betas": (0.9, 0.999), "name": None}


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path):
    folder = folder_at(tmp_path)
    path = folder.save(7, state(7))
    assert folder.newest() == path
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["model"]["weight"], torch.full((50,), 7.0))
    assert (loaded["step"], loaded["job"], loaded["inputs"]) == (7, JOB, {"manifest": "m1"})
    assert (loaded["betas"], loaded["name"]) == ((0.9, 0.999), None)


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, synced):
    path = folder_at(tmp_path).save(7, state(7))
    assert synced == [path.stat().st_size]


def test_its_name_is_on_the_disk_before_an_older_one_goes(tmp_path, monkeypatch):
    folder = folder_at(tmp_path)
    folder.save(1, state(1))
    folder.save(2, state(2))
    events = []
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink

    def synced(handle):
        events.append("folder synced" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file synced")
        fsync(handle)

    def renamed(source, target):
        events.append("renamed")
        replace(source, target)

    def removed(path, missing_ok=False):
        if path.exists():
            events.append("older one removed")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    monkeypatch.setattr(Path, "unlink", removed)
    folder.save(3, state(3))
    assert events == ["file synced", "renamed", "folder synced", "older one removed"]


def test_the_newest_two_are_kept_in_numeric_order(tmp_path):
    folder = folder_at(tmp_path)
    for step in (8, 9, 10, 100):
        folder.save(step, state(step))
    assert [load_checkpoint(path)["step"] for path in folder.paths()] == [100, 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in folder.paths())


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_an_ordinary_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        path = folder_at(tmp_path).save(1, state(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped bit"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path, damage, caplog):
    folder = folder_at(tmp_path)
    good = folder.save(1, state(1))
    bad = folder.save(2, state(2))
    data = bytearray(bad.read_bytes())
    if damage == "flipped bit":
        data[len(data) // 2] ^= 1
    bad.write_bytes(data[: {"truncated": len(data) - 1, "empty": 0}.get(damage, len(data))])
    assert folder.newest() == good
    assert not bad.exists()
    assert bad.name in caplog.text


def test_no_whole_checkpoint_means_none(tmp_path):
    folder = folder_at(tmp_path)
    assert folder.newest() is None
    folder.save(1, state(1)).write_bytes(b"")
    assert folder.newest() is None


def test_a_checkpoint_that_the_caller_cannot_use_gives_way_to_the_one_before(tmp_path):
    folder = folder_at(tmp_path)
    earlier = folder.save(1, state(1))
    folder.save(2, state(2))
    assert folder.newest(lambda state: state["step"] < 2) == earlier


def test_a_checkpoint_of_another_job_is_refused_and_left_alone(tmp_path):
    foreign = folder_at(tmp_path, job="b" * 64).save(1, state(1))
    with pytest.raises(InputError, match="belongs to job bbbbbbbbbbbb, not to aaaaaaaaaaaa") as caught:
        folder_at(tmp_path).newest()
    assert str(foreign) in str(caught.value)
    assert foreign.exists()


def test_a_checkpoint_of_the_same_job_on_other_data_is_dropped_by_name(tmp_path, caplog):
    folder_at(tmp_path, inputs={"manifest": "m1", "weights": "w"}).save(1, state(1))
    assert folder_at(tmp_path, inputs={"manifest": "m2", "weights": "w"}).newest() is None
    assert "made from another manifest" in caplog.text
    assert "weights" not in caplog.text.split("another")[1]


class Payload:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (Path(self.target),))


def test_loading_runs_no_code_from_the_file(tmp_path):
    target = tmp_path / "touched"
    path = folder_at(tmp_path).save(1, {"model": Payload(str(target))})
    with pytest.raises(Exception, match="weights_only"):
        load_checkpoint(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("unexpected pos 64 vs 0")]
)
def test_a_full_disk_is_one_clear_line_and_keeps_the_earlier_checkpoint(tmp_path, error):
    folder = folder_at(tmp_path)
    good = folder.save(1, state(1))
    with (
        mock.patch("pipeline_src.training.checkpoint.torch.save", side_effect=error),
        pytest.raises(InputError, match="cannot write the checkpoint of step 2"),
    ):
        folder.save(2, state(2))
    assert folder.newest() == good
    assert list(tmp_path.iterdir()) == [good]


def hold_and_sleep(path, ready):
    with folder_at(path).held():
        ready.set()
        time.sleep(60)


def test_a_folder_in_use_refuses_a_second_process_until_the_first_is_dead(tmp_path):
    ready = PROCESSES.Event()
    holder = PROCESSES.Process(target=hold_and_sleep, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(300)  # as long as a busy machine takes to start a process
    with pytest.raises(InputError, match="another process is training this job"), folder_at(tmp_path).held():
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with folder_at(tmp_path).held():
        pass


def test_what_a_killed_process_left_half_written_is_removed_at_the_next_start(tmp_path):
    folder = folder_at(tmp_path)
    good = folder.save(1, state(1))
    (tmp_path / ".saving-123").write_bytes(b"half")
    with folder.held():
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", good.name])
