"""Start steps from a process that has imported PyTorch already: for many short jobs on a CPU.

A step spends five seconds on importing torch, torchvision and timm, which is most of a demo job. The
first job that asks starts a server beside itself; later ones send it their command line, working
directory, environment and standard files, and it forks. The fork imports this project's own code,
so an edit always counts, and runs the step as if it had been started afresh. The process that asked
stays in front of it: it passes signals on and ends with the step's exit status, and when it is
killed, so is the step.

A server serves one user, installation, folder and environment, and ends after `IDLE_SECONDS` without
a job. It never computes anything itself, so there are no threads at the fork, and no CUDA.
"""

import atexit
import contextlib
import gc
import hashlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

IDLE_SECONDS = 45.0
PRELOADED = ("torch", "torchvision.transforms.v2", "timm", "safetensors.torch", "tqdm", "PIL.Image")
VOLATILE = ("_", "OLDPWD", "PWD", "SHLVL")
"""Variables that differ between jobs of one run and that no job reads."""

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


def run_warm(step: str, arguments: list[str]) -> int | None:
    """Have a server run the step; its exit status, or None where there is no server (one is started)."""
    try:
        path = socket_path()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            start_server(path)
            return None
        with connection:
            message = json.dumps({"step": step, "arguments": arguments, "environment": dict(os.environ)})
            socket.send_fds(connection, [f"{len(message.encode()):010d}".encode()], [0, 1, 2])
            connection.sendall(message.encode())
            return _follow(connection)
    except OSError:
        return None


def start_server(path: Path) -> None:
    """Start a server in a session of its own, unless one is about to listen there."""
    with open(os.devnull, "r+b") as nothing:
        subprocess.Popen(
            [sys.executable, "-m", "pipeline_src.warm", str(path)],
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
        )


def _follow(connection: socket.socket) -> int | None:
    """Pass signals on to the step until it ends; None when it was never started."""
    reader = connection.makefile("r")
    first = reader.readline()
    if not first:
        return None
    # From here on the step runs: whatever happens, it must not be started a second time.
    child = int(first)

    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        last = reader.readline()
    except OSError:
        last = ""
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not last:
        return 128 + signal.SIGKILL
    status = int(last)
    return 128 - status if status < 0 else status


def serve(path: Path) -> dict[str, Any] | None:
    """Listen until idle; returns None then, and in every fork the job that it is for."""
    lock = path.with_suffix(".lock")
    with open(lock, "a") as held:
        try:
            os.lockf(held.fileno(), os.F_TLOCK, 0)
        except OSError:
            return None
        held.truncate(0)
        print(os.getpid(), file=held, flush=True)
        for name in PRELOADED:
            __import__(name)  # third-party only: this project's own code is imported by the forks
        gc.freeze()  # what is loaded stays: a fork that collected it would first copy it, page by page
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            path.unlink(missing_ok=True)
            listener.bind(str(path))
            listener.listen(64)
            listener.settimeout(IDLE_SECONDS)
            running: set[int] = set()
            while True:
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    _reap(running)
                    if running:
                        continue
                    path.unlink(missing_ok=True)
                    return None
                _reap(running)
                job = _fork_for(connection, listener)
                if isinstance(job, dict):
                    return job
                running.add(job)


def _reap(running: set[int]) -> None:
    for pid in list(running):
        if os.waitpid(pid, os.WNOHANG)[0]:
            running.discard(pid)


def _fork_for(connection: socket.socket, listener: socket.socket) -> dict[str, Any] | int:
    """Fork a waiter, which forks the step and reports its exit status; the step's fork gets the job."""
    waiter = os.fork()
    if waiter:
        connection.close()
        return waiter
    listener.close()
    connection.settimeout(None)
    header, files, _, _ = socket.recv_fds(connection, 10, 3)
    message = b""
    while len(message) < int(header):
        message += connection.recv(int(header) - len(message))
    step = os.fork()
    if step == 0:
        for target, source in enumerate(files):
            os.dup2(source, target)
        for source in files:
            if source > 2:
                os.close(source)
        return {**json.loads(message), "connection": connection}
    for source in files:
        os.close(source)
    with contextlib.suppress(OSError):
        connection.sendall(f"{step}\n".encode())
    threading.Thread(target=_kill_with_asker, args=(connection, step), daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(step, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(f"{status}\n".encode())
    os._exit(0)


def _kill_with_asker(connection: socket.socket, step: int) -> None:
    """End the step when the process that asked for it is gone (it sends nothing more otherwise)."""
    with contextlib.suppress(OSError):
        if not connection.recv(1):
            os.kill(step, signal.SIGKILL)


@contextlib.contextmanager
def _fresh_streams() -> Iterator[None]:
    """Text streams on the standard files of the one who asked."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False, buffering=1 if os.isatty(1) else -1)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def main() -> None:
    """Serve; a fork comes back from there and becomes its step."""
    job = serve(Path(sys.argv[1]))
    if job is None:
        return
    job["connection"].close()
    os.setsid()
    os.environ.clear()
    os.environ.update(job["environment"])
    name = f"pipeline_src.steps.{job['step']}"
    sys.argv = [name, *job["arguments"]]
    with _fresh_streams():
        status = _run(name)
    # the interpreter's own end would copy and free everything the server loaded: 1.7 s
    os._exit(status & 0xFF)


def _run(module: str) -> int:
    """Run a step as the main module, with all that happens at the end of a program; its exit status."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except BaseException as error:
        traceback.print_exc()
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
        atexit._run_exitfuncs()
    return 0


if __name__ == "__main__":
    main()
