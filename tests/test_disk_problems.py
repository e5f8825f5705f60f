"""A disk that is full or read-only is one line, whichever library met it."""

import errno
import subprocess
import sys

import pytest

from pipeline_src.errors import disk_problem


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "work/a.pt"), "work/a.pt: the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (OSError(errno.EFBIG, "File too large", "a.pt"), "a.pt: the file is larger than the disk or a limit"),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
            "no folder for temporary files can be written",
        ),
        (OSError(errno.EROFS, "Read-only file system", "results"), "results: the disk is read-only"),
    ],
)
def test_a_disk_that_takes_no_more_is_named(error, line):
    assert disk_problem(error).startswith(line)


@pytest.mark.parametrize(
    "error", [ValueError("x"), FileNotFoundError(errno.ENOENT, "No such file", "a"), KeyError(28)]
)
def test_other_errors_are_no_such_thing(error):
    assert disk_problem(error) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full")
def test_a_command_that_meets_a_full_disk_ends_with_one_line():
    fill = "open('/dev/full', 'wb', 0).write(b'x')"
    code = f"from pipeline_src.errors import run_command\nrun_command(lambda: {fill})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: the disk is full; make room and start again, what was saved is continued\n"
