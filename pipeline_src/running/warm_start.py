"""Start jobs from a process that has imported PyTorch already: for many short jobs on a CPU.

A job spends five seconds on importing torch, torchvision and timm, which is most of a demo job. The
first job that asks starts a server beside itself; later ones send it their command line, working
environment and standard files, and it forks. The fork imports this project's own code, so an edit
always counts, and does the job as if it had been started afresh. The process that asked stays in front
of it: it passes signals on and ends with the job's exit status, and when it is killed, so is the job.

A server serves one user, installation, folder and environment, and ends after `IDLE_SECONDS` without
a job. It never computes anything itself, so there are no threads at the fork, and no CUDA.
"""

import contextlib
import gc
import hashlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

IDLE_SECONDS = 45.0
PRELOADED = ("torch", "torchvision.transforms.v2", "timm", "safetensors.torch", "tqdm", "PIL.Image")
ALSO_PRELOADED = (
    "pandas", "scipy.special", "pycocotools.cocoeval", "jinja2", "matplotlib.figure",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg",
)  # fmt: skip
"""Where they are installed: a machine that only trains needs none of them."""

VOLATILE = ("_", "OLDPWD", "PWD", "SHLVL", "FUSEBENCH_PLAN")
"""Variables that differ between jobs or runs and change no result."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def socket_path() -> Path:
    """Where the server of this user, installation, folder and environment listens.

    Raises `OSError` when somebody else owns the folder of the sockets.
    """
    folder = Path(tempfile.gettempdir(), f"fusebench-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.stat()
    if info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise OSError(f"{folder} belongs to somebody else, or others may enter it")
    environment = {key: value for key, value in os.environ.items() if key not in VOLATILE}
    libraries = [Path(path).stat().st_mtime_ns for path in sys.path if path and Path(path).is_dir()]
    said = json.dumps([sys.executable, str(Path.cwd()), environment, libraries], sort_keys=True)
    return folder / hashlib.sha256(said.encode()).hexdigest()[:24]


# --- who asks ---------------------------------------------------------------------------------


def run_warm(arguments: list[str]) -> int | None:
    """Have a server do `run ARGUMENTS`; the exit status, or None where there is no server yet.

    One is started then, for the next job. Needs Linux; elsewhere there is never a server.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        path = socket_path()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                start_server(path)
                return None
            message = json.dumps({"arguments": arguments, "environment": dict(os.environ)}) + "\n"
            socket.send_fds(connection, [b" "], [0, 1, 2])
            connection.sendall(message.encode())
            return _follow(connection)
    except OSError:
        return None


def start_server(path: Path) -> None:
    """Start a server in a session of its own, unless one is about to listen there."""
    nothing = subprocess.DEVNULL
    command = [sys.executable, "-m", "pipeline_src.running.warm_start", str(path)]
    subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)


def _follow(connection: socket.socket) -> int | None:
    """Pass signals on to the job until it ends; None when it was never started."""
    reader = connection.makefile("r")
    first = reader.readline()
    if not first:
        return None
    # From here on the job runs: whatever happens, it must not be started a second time.
    child = int(first)

    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    try:
        last = reader.readline()
    except OSError:
        last = ""
    status = int(last) if last else -signal.SIGKILL
    return 128 - status if status < 0 else status


# --- the server -------------------------------------------------------------------------------


def serve(path: Path) -> None:
    """Listen until idle, and fork for every job."""
    with open(path.with_suffix(".lock"), "a") as held:
        try:
            os.lockf(held.fileno(), os.F_TLOCK, 0)
        except OSError:
            return
        held.truncate(0)
        print(os.getpid(), file=held, flush=True)
        for name in PRELOADED:
            __import__(name)  # third-party only: this project's own code is imported by the forks
        for name in ALSO_PRELOADED:
            with contextlib.suppress(ImportError):
                __import__(name)
        gc.freeze()  # what is loaded stays: a fork that collected it would first copy it, page by page
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
            selectors.DefaultSelector() as selector,
        ):
            path.unlink(missing_ok=True)
            listener.bind(str(path))
            listener.listen(64)
            selector.register(listener, selectors.EVENT_READ)
            while True:
                events = selector.select(IDLE_SECONDS)
                if not events and len(selector.get_map()) == 1:
                    break
                for key, _ in events:
                    if key.fileobj is listener:
                        _start(listener.accept()[0], selector)
                    else:
                        key.data.update(selector)
            path.unlink(missing_ok=True)


class _Running:
    """A job that runs, and the connection to the process that asked for it."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid, self.connection = pid, connection
        self.ending = os.pidfd_open(pid)
        self.ended = False

    def update(self, selector: selectors.BaseSelector) -> None:
        """Report the job's end; end the job when the one who asked is gone (it sends nothing otherwise)."""
        if self.ended:
            return
        self.ended = True
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
        selector.unregister(self.connection)
        selector.unregister(self.ending)
        os.close(self.ending)
        with self.connection, contextlib.suppress(OSError):
            self.connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _start(connection: socket.socket, selector: selectors.BaseSelector) -> None:
    """Fork a process that becomes the job, and watch it."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    message = connection.makefile("r").readline()
    pid = os.fork()
    if pid == 0:
        for key in selector.get_map().values():
            os.close(key.fd)
        connection.close()
        for target, source in enumerate(files):
            os.dup2(source, target)
        become(json.loads(message))
    for file in files:
        os.close(file)
    running = _Running(pid, connection)
    selector.register(connection, selectors.EVENT_READ, running)
    selector.register(running.ending, selectors.EVENT_READ, running)
    with contextlib.suppress(OSError):
        connection.sendall(f"{pid}\n".encode())


def become(message: dict[str, Any]) -> None:
    """Do the job in this process, and end it: with `os._exit`, as a fork should.

    The interpreter's own end would copy and free everything that the server loaded, in 1.7 s.
    """
    os.setsid()
    os.environ.clear()
    os.environ.update(message["environment"])
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
    status = 1
    try:
        from pipeline_src.errors import run_command
        from pipeline_src.running.run_job import main

        run_command(lambda: main(message["arguments"]))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
