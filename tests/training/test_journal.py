import csv
import math

import pytest

from pipeline_src.training.journal import Journal, last_values

LOSSES = [0.1, 1 / 3, 2.5e-17, 1e300, math.pi]


def started(folder):
    journal = Journal(folder)
    journal.start()
    return journal


def test_floats_come_back_exactly(tmp_path):
    journal = started(tmp_path)
    for step, loss in enumerate(LOSSES, 1):
        journal.add_loss(step, 0, loss / 7, loss)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == LOSSES
    assert [float(row["lr"]) for row in rows] == [loss / 7 for loss in LOSSES]
    assert [(row["step"], row["epoch"]) for row in rows] == [(str(n), "0") for n in range(1, 6)]


def test_files_that_end_at_a_checkpoint_are_on_the_disk_and_hold_it(tmp_path, synced):
    journal = started(tmp_path)
    journal.add_loss(1, 0, 0.1, 0.2)
    synced.clear()
    lengths = journal.lengths()
    assert synced == [*lengths.values()]
    assert journal.holds(lengths)


def test_the_curve_has_one_row_per_metric(tmp_path):
    started(tmp_path).add_scores(20, 5, {"miou": 0.25, "pixel_accuracy": 0.5})
    assert (tmp_path / "curve.csv").read_text() == (
        "step,epoch,metric,value\n20,5,miou,0.25\n20,5,pixel_accuracy,0.5\n"
    )


def test_cutting_back_to_a_checkpoint_and_going_on_gives_the_same_bytes(tmp_path):
    def rows(journal, steps):
        for step in steps:
            journal.add_loss(step, 0, 0.1, 1 / step)
            journal.add_scores(step, 0, {"miou": 1 / step})

    (tmp_path / "straight").mkdir()
    rows(started(tmp_path / "straight"), range(1, 9))

    journal = started(tmp_path)
    rows(journal, range(1, 4))
    lengths = journal.lengths()
    rows(journal, range(4, 7))
    resumed = Journal(tmp_path)
    assert resumed.holds(lengths)
    resumed.cut(lengths)
    rows(resumed, range(4, 9))
    for name in ("log.csv", "curve.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


@pytest.mark.parametrize("name", ["log.csv", "curve.csv"])
def test_a_file_that_is_gone_or_shorter_than_recorded_does_not_hold(tmp_path, name):
    journal = started(tmp_path)
    journal.add_loss(1, 0, 0.1, 0.2)
    journal.add_scores(1, 0, {"miou": 0.3})
    lengths = journal.lengths()
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-1])
    assert not journal.holds(lengths)
    path.unlink()
    assert not journal.holds(lengths)


def test_a_process_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = started(None)
    journal.add_loss(1, 0, 0.1, 0.2)
    journal.add_scores(1, 0, {"miou": 0.3})
    journal.cut({"log.csv": 1, "curve.csv": 1})
    assert journal.lengths() == {}
    assert list(tmp_path.iterdir()) == []


def test_times_stand_in_a_file_of_their_own_and_are_never_cut(tmp_path):
    journal = started(tmp_path)
    journal.add_loss(1, 0, 0.1, 0.5)
    lengths = journal.lengths()
    assert set(lengths) == {"log.csv", "curve.csv"}
    journal.add_time(0, 2, 1.25)
    Journal(tmp_path).cut(lengths)
    Journal(tmp_path).add_time(1, 2, 0.5)
    assert (tmp_path / "timing.csv").read_text() == "from_step,step,seconds\n0,2,1.250\n1,2,0.500\n"


def test_the_last_loss_and_scores_are_read_back(tmp_path):
    journal = started(tmp_path)
    journal.add_loss(1, 0, 0.1, 0.5)
    assert last_values(tmp_path) == (0.5, {})
    journal.add_scores(1, 0, {"miou": 0.1})
    journal.add_loss(2, 0, 0.1, 0.25)
    journal.add_scores(2, 0, {"miou": 0.3, "pixel_accuracy": 0.5})
    assert last_values(tmp_path) == (0.25, {"miou": 0.3, "pixel_accuracy": 0.5})
