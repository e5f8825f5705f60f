"""A toy training in a process of its own, and ways to kill it at an exact place."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

from pipeline_src.errors import run_command
from tests.training.toy_training import PROCESSES, toy_parts, train

Options = dict[str, Any]


def run_training(job: Path, kill: tuple[str, int] | None = None, **options: Any) -> int:
    """Exit status of a training in a process of its own, killed at the `n`-th call of `kill = (place, n)`."""
    process = start_training(job, kill, **options)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def start_training(job: Path, kill: tuple[str, int] | None = None, **options: Any) -> BaseProcess:
    """The same, not waited for; `said` names a file for what it writes to stderr."""
    process = PROCESSES.Process(target=_train, args=(job, kill, options))
    process.start()
    return process


def _train(job: Path, kill: tuple[str, int] | None, options: Options) -> None:
    os.setpgrp()  # a group of its own, with its loader workers
    multiprocessing.set_start_method("fork", force=True)  # for those, as in an ordinary process
    if (said := options.pop("said", None)) is not None:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    slow = options.pop("slow", 0.0)
    parts = toy_parts(slowly(slow)) if slow else None
    if kill is None:
        run_command(lambda: train(job, parts, **options))
        return
    place, count = kill
    with mock.patch(place, _killing(_attribute(place), place, count)):
        run_command(lambda: train(job, parts, **options))


def _attribute(place: str) -> Any:
    patcher = mock.patch(place)
    target, name = patcher.getter(), patcher.attribute
    return getattr(target, name)


def _killing(function: Any, place: str, count: int) -> Callable[..., Any]:
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            if place.endswith("torch.save"):  # the kill comes while the file is being written
                arguments[1].write(b"half a checkpoint")
                arguments[1].flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return call


def slowly(seconds: float) -> Callable[..., Any]:
    """A wrapper for `toy_parts` that takes this long for every batch."""

    def wrap(first: int, batches: Any) -> Any:
        for batch in batches:
            time.sleep(seconds)
            yield batch

    return wrap
