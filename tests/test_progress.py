"""One progress for all long work: a bar on a terminal, an occasional line in a log."""

import sys

import pytest

from pipeline_src import progress
from pipeline_src.progress import SPELLED, Progress, score_text, size_text, track
from pipeline_src.reporting.metric_table import METRICS


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    monkeypatch.setattr(progress, "time", Clock())
    return progress.time


def test_a_log_gets_an_occasional_line_with_rate_and_time_to_go(capsys, clock):
    with Progress("run", 100, "step") as shown:
        for step in range(1, 101):
            clock.now += 1
            shown.update(note=f"loss {1 / step:.4g}")
    assert capsys.readouterr().err.splitlines() == [
        "run: step 30 of 100, loss 0.03333, 1 steps/s, 0:01:10 to go",
        "run: step 60 of 100, loss 0.01667, 1 steps/s, 0:00:40 to go",
        "run: step 90 of 100, loss 0.01111, 1 steps/s, 0:00:10 to go",
    ]


def test_a_continued_work_takes_its_rate_from_what_it_did_itself(capsys, clock):
    with Progress("run", 1000, "step", 400) as shown:
        clock.now += 60
        shown.update(30)
    assert capsys.readouterr().err == "run: step 430 of 1000, 0.5 steps/s, 0:19:00 to go\n"


def test_bytes_are_counted_in_larger_units(capsys, clock):
    with Progress("fetch a.tar", None, "B") as shown:
        clock.now += 40
        shown.update(3_000_000_000)
    assert capsys.readouterr().err == "fetch a.tar: 3.0 GB, 75.0 MB/s\n"
    assert [size_text(count) for count in (999, 1000, 1_900_000)] == ["999 B", "1.0 kB", "1.9 MB"]
    assert [size_text(count) for count in (999_949, 999_950, 999_999_999)] == ["999.9 kB", "1.0 MB", "1.0 GB"]


def test_other_ranks_are_silent(capsys, clock):
    with Progress("run", 2, "step", shown=False) as hidden:
        clock.now += 100
        hidden.update()
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar_that_starts_where_the_work_continues(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("run", 80, "step", 40) as bar:
        bar.update(40, "loss 0.5")
    err = capsys.readouterr().err
    assert "50%" in err
    assert "40/80" in err


def test_tracked_items_pass_unchanged(capsys, clock):
    def slow(items):
        for item in items:
            clock.now += 31
            yield item

    assert list(track(slow("ab"), 2, "checking", "mask")) == ["a", "b"]
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "checking: mask 1 of 2",
        "checking: mask 2 of 2",
    ]


def test_scores_are_written_as_tables_head_them():
    assert score_text({"miou": 0.6123, "pixel_accuracy": 0.5}, ["miou"]) == "mIoU 61.2 %"
    assert score_text({"ap": None, "ap50": 0.5}, ["ap", "ap50"]) == "AP50 50.0 %"
    assert score_text({}, ["miou"]) == ""
    for name, spelled in SPELLED.items():
        assert METRICS[name].header == spelled
