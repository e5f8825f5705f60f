"""The one error type for bad input, and how a command reports it.

Anything a user can cause (a wrong key, a broken file, a missing download) is raised as
`InputError` with one line that names the key, file or record, what is wrong and what would be
right. Everything else is a bug and keeps its traceback.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

INPUT_ERROR_EXIT = 2
"""Exit status of a command that refused its input."""

INTERRUPTED_EXIT = 75
"""Exit status of a job that saved its state and stopped on request (EX_TEMPFAIL: a retry continues it)."""


class InputError(Exception):
    """Input that cannot be used; the message is one line for the person who has to repair it."""


class Interrupted(Exception):
    """The job was asked to stop, has saved its state, and continues when it is started again."""


def bad_input_in_one_line(items: Iterable[Item]) -> Iterator[Item]:
    """The items; an `InputError` of a loader process comes with its traceback, of which one line is kept."""
    try:
        yield from items
    except InputError as error:
        last = str(error).strip().splitlines()[-1]
        raise InputError(last.removeprefix(f"{InputError.__module__}.{InputError.__qualname__}: ")) from None


def disk_problem(error: Exception) -> str | None:
    """One line about a disk that is full or may not be written; None for an error of another kind."""
    file = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
        return f"{file}the disk is full; make room and start again, what was saved is continued"
    if number == errno.EFBIG or "File too large" in str(error):
        return f"{file}the file is larger than the disk or a limit (`ulimit -f`) allows; nothing was replaced"
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
        return "no folder for temporary files can be written; make room there, or set TMPDIR to another one"
    if number == errno.EROFS or "Read-only file system" in str(error):
        return f"{file}the disk is read-only; results, work and data must be writable"
    return None


def run_command(main: Callable[[], int | None] | Callable[[], None]) -> None:
    """Run a command's `main` and exit: bad input becomes one line on stderr and status 2.

    `Interrupted` becomes one line and status 75, so that a scheduler's retry continues the job. A full
    disk becomes one line and status 1.
    """
    try:
        status = main() or 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = INPUT_ERROR_EXIT
    except BrokenPipeError:
        # the reader of a pipe (`| head`) has seen enough; nothing may be flushed into it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except Interrupted as error:
        print(f"interrupted: {error}", file=sys.stderr)
        status = INTERRUPTED_EXIT
    except Exception as error:
        if (problem := disk_problem(error)) is None:
            raise
        print(f"error: {problem}", file=sys.stderr)
        status = 1
    sys.exit(status)
