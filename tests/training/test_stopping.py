import os
import signal
import time

import pytest

from pipeline_src.training import stopping
from pipeline_src.training.stopping import SaveInterval, StopRequest


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_is_noted_and_its_handler_restored_afterwards(name):
    number = signal.Signals[name]
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.requested is None
        os.kill(os.getpid(), number)
        assert stop.requested == name
    assert signal.getsignal(number) == before


def test_a_handler_of_somebody_elses_comes_back_afterwards():
    def own(number, frame):
        pass

    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = [signal.signal(number, own) for number in numbers]
    try:
        with StopRequest():
            assert own not in map(signal.getsignal, numbers)
        assert [signal.getsignal(number) for number in numbers] == [own] * 3
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_saving_every_k_steps_needs_no_clock():
    interval = SaveInterval(steps=3)
    assert [done for done in range(1, 10) if interval.due(done)] == [3, 6, 9]


def test_saving_every_m_minutes_counts_from_the_last_save(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert stopping.time is time
    interval = SaveInterval(minutes=2)
    now += 119
    assert not interval.due(1)
    now += 1
    assert interval.due(2)
    interval.saved()
    assert not interval.due(3)
    now += 120
    assert interval.due(4)
