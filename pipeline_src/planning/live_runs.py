"""Which runs of this checkout are alive, and Snakemake's lock after one that was killed.

Snakemake keeps its lock when it is killed, and every later start refuses until somebody types `--unlock`.
A run holds a file of its own, locked by the kernel, which lets go of it however the process ends. So a run
that is dead can be told from one that works, and the lock of the dead one can be taken away.
"""

import atexit
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

RUNS = Path("work", "alive")
"""A file for every run that works, or was killed: HOST.PID."""

LOCKS = Path(".snakemake", "locks")
"""Where Snakemake 9 keeps its lock; without it there is nothing to take away."""

_HELD: dict[Path, IO[str]] = {}
"""The open file of this process: closing it would say that the run is dead."""


def report_alive() -> str | None:
    """Say that this process is a run, until it ends; take away the lock of runs that were killed.

    Returns a line that says what was taken away, None where nothing was. The lock stays where any other
    run is alive, or worked on another machine: whether that one still does cannot be seen from here.
    """
    own = Path.cwd() / RUNS / f"{socket.gethostname()}.{os.getpid()}"
    if own in _HELD:
        return None
    RUNS.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time():
        dead = [path for path in _others() if _is_dead(path)]
        only_dead = len(dead) == len(_others())
        taken = bool(dead) and only_dead and LOCKS.is_dir() and any(LOCKS.iterdir())
        if taken:
            shutil.rmtree(LOCKS)
        for path in dead if only_dead else []:
            path.unlink(missing_ok=True)
        _hold(own)
    if not taken:
        return None
    ids = ", ".join(path.suffix.lstrip(".") for path in dead)
    return f"an earlier run was killed (process {ids}): its lock is taken away, and what it left is continued"


def alive() -> list[str]:
    """The processes of this machine's runs that work here, and those of other machines that may."""
    return [path.suffix.lstrip(".") for path in _others() if not _is_dead(path)] if RUNS.is_dir() else []


def another_works() -> bool:
    """Whether another run of this checkout is known to work on this machine."""
    own = {path.name for path in _HELD}
    here = [path for path in _others() if path.stem == socket.gethostname() and path.name not in own]
    return any(not _is_dead(path) for path in here)


def _others() -> list[Path]:
    return sorted(path for path in RUNS.glob("*.*") if path.suffix.lstrip(".").isdecimal())


def _is_dead(path: Path) -> bool:
    """Whether a run of this machine is known to have ended."""
    if path.stem != socket.gethostname():
        return False
    try:
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _hold(path: Path) -> None:
    file = open(path, "w")  # noqa: SIM115 (kept open: it says that this run is alive)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _HELD[path] = file
    atexit.register(_leave, path, os.getpid())


def _leave(path: Path, process: int) -> None:
    """A run that ends by itself leaves nothing; a fork of it is not the run."""
    if os.getpid() == process:
        with suppress(OSError):
            path.unlink()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with open(RUNS / "guard", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
