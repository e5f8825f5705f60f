"""Steps that start from a process which has imported torch already behave as those that do not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline_src.planning.steps import SIMULATE
from pipeline_src.running.warm_start import socket_path
from tests.jobs import write_job_file

RUN = [sys.executable, "-m", "pipeline_src", "run", "--warm"]
SIMULATION = {
    "maps": [1, 2, 8, 8], "mean": 0.4, "variances": [0.1, 0.9], "points": 2, "ratios": [2], "seed": 0,
    "confirm": 1,
}  # fmt: skip


def job(folder: Path, **changes: object) -> Path:
    outputs = {name: str(folder / f"{name}.json") for name in SIMULATE.outputs}
    params = {"simulation": {**SIMULATION, **changes}, "threads": 1}
    return write_job_file(folder, "simulate", params, outputs)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A folder of sockets of its own, with a server that listens; ended with the tests."""
    folder = tmp_path_factory.mktemp("warm")
    os.environ["TMPDIR"], before = str(folder), os.environ.get("TMPDIR")
    environment = dict(os.environ)
    first = subprocess.run([*RUN, str(job(folder / "cold"))], env=environment, timeout=120)
    assert first.returncode == 0
    locks: list[Path] = []
    sockets: list[Path] = []
    for _ in range(240):
        locks = list(folder.glob("fusebench-*/*.lock"))
        sockets = [path for path in folder.glob("fusebench-*/*") if path.suffix != ".lock"]
        if sockets:
            break
        time.sleep(0.5)
    assert len(sockets) == 1
    pid = int(locks[0].read_text())
    yield environment, folder, pid
    os.kill(pid, signal.SIGKILL)
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def descendants(pid: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    found = [pid]
    for _ in range(3):
        for other in pids:
            try:
                if other not in found and parent_of(other) in found:
                    found.append(other)
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found[1:]


def test_the_result_is_the_same_and_the_output_goes_where_it_should(server):
    environment, folder, _ = server
    done = subprocess.run(
        [*RUN, str(job(folder / "warm"))],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert (folder / "warm/simulation.json").read_bytes() == (folder / "cold/simulation.json").read_bytes()


def test_bad_input_keeps_its_line_and_status(server):
    environment, folder, _ = server
    done = subprocess.run(
        [*RUN, str(folder / "none.json")],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == f"error: {folder}/none.json: no such file"


def running(server_pid: int) -> list[int]:
    for _ in range(100):
        found = descendants(server_pid)
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("no step was started")


def gone(pids: list[int]) -> bool:
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() and _alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ending_the_asker_ends_the_step(server, number):
    environment, folder, pid = server
    long = job(folder / f"long-{number}", maps=[16, 256, 128, 128], points=99, ratios=[2, 4, 8])
    asker = subprocess.Popen([*RUN, str(long)], env=environment, stderr=subprocess.DEVNULL)
    pids = running(pid)
    asker.send_signal(number)
    status = asker.wait(timeout=30)
    assert status == (128 + signal.SIGTERM if number == signal.SIGTERM else -signal.SIGKILL)
    assert gone(pids)


def test_another_environment_has_another_server(monkeypatch):
    before = socket_path()
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    assert socket_path() != before
    monkeypatch.undo()
    monkeypatch.setenv("_", "something")
    assert socket_path() == before


def test_sockets_that_others_could_reach_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    (tmp_path / f"fusebench-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(OSError, match="others may enter it"):
        socket_path()


@pytest.mark.parametrize(
    ("ending", "status", "error"),
    [
        ("pass", 0, ""),
        ("raise Interrupted('saved')", 75, "interrupted: saved\n"),
        ("raise InputError('no')", 2, "error: no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
    ],
)
def test_a_job_ends_as_a_program_does(ending, status, error):
    code = (
        "import os; import pipeline_src.running.run_job as start\n"
        "from pipeline_src.errors import InputError, Interrupted\n"
        "from pipeline_src.running.warm_start import become\n"
        f"def main(arguments):\n    print(*arguments); {ending}\n"
        "start.main = main\n"
        "become({'arguments': ['said', 'on stdout'], 'environment': dict(os.environ)})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == status
    assert ended.stdout == "said on stdout\n"
    assert ended.stderr.endswith(error)
