import logging
import sys

import pytest

from pipeline_src.training import progress
from pipeline_src.training.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    monkeypatch.setattr(progress, "time", Clock())
    return progress.time


def lines(caplog):
    return [record.message for record in caplog.records]


def test_without_a_terminal_there_is_an_occasional_line_and_a_last_one(caplog, clock):
    caplog.set_level(logging.INFO)
    shown = Progress("run", 0, 100, shown=True)
    for step in range(1, 101):
        clock.now += 1
        shown.update(step, 1 / step)
    shown.close()
    assert lines(caplog) == [
        "run: step 1 of 100, loss 1",
        "run: step 31 of 100, loss 0.03226",
        "run: step 61 of 100, loss 0.01639",
        "run: step 91 of 100, loss 0.01099",
        "run: step 100 of 100, loss 0.01",
    ]


def test_other_ranks_are_silent(caplog, capsys, clock):
    caplog.set_level(logging.INFO)
    hidden = Progress("run", 0, 1, shown=False)
    hidden.update(1, 0.5)
    hidden.close()
    assert lines(caplog) == []
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar_that_starts_where_the_training_continues(caplog, capsys, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = Progress("run", 40, 80, shown=True)
    bar.update(80, 0.5)
    bar.close()
    err = capsys.readouterr().err
    assert "50%" in err
    assert "80/80" in err
    assert lines(caplog) == []
