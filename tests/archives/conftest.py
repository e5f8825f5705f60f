"""A small HTTP server whose faults a test can choose, and a runner for steps as programs."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline_src.data.http import HttpOptions
from tests.jobs import write_job_file

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Resource:
    """A file on the server. `drops` and `statuses` are used up, one per request."""

    data: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    honours_if_range: bool = True
    drops: list[int] = field(default_factory=list)
    """Break the connection after so many bytes of the answer."""
    statuses: list[int] = field(default_factory=list)
    stall: threading.Event | None = None
    """After a drop's bytes, wait for this instead of breaking off."""
    headers: dict[str, str] = field(default_factory=dict)
    says_length: bool = True
    """Else the end of the answer is the end of the connection."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that break off are part of the tests."""


class Server:
    """Serves `resources` on 127.0.0.1; `requests` lists `(path, Range header)` as they came."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.requests: list[tuple[str, str | None]] = []
        self._http = QuietServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def add(self, path: str, data: bytes, **faults: Any) -> str:
        self.resources[path] = Resource(data, **faults)
        return f"http://127.0.0.1:{self._http.server_port}{path}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def do_GET(self) -> None:
                server.requests.append((self.path, self.headers.get("Range")))
                resource = server.resources.get(self.path)
                if resource is None:
                    self._empty(404)
                elif resource.statuses:
                    headers = {name.replace("-", "_"): value for name, value in resource.headers.items()}
                    self._empty(resource.statuses.pop(0), **headers)
                else:
                    self._send(resource)

            def _empty(self, status: int, **headers: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()

            def _send(self, resource: Resource) -> None:
                wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
                condition = self.headers.get("If-Range")
                # a weak tag fits no If-Range (RFC 9110, section 13.1.5)
                same = condition == resource.etag and not str(condition).startswith("W/")
                fits = condition is None or same or not resource.honours_if_range
                start = int(wanted[1]) if wanted and resource.ranges and fits else None
                total = len(resource.data)
                if start is not None and start >= total:
                    self._empty(416, Content_Range=f"bytes */{total}")
                    return
                body = resource.data[start or 0 :]
                self.send_response(200 if start is None else 206)
                headers = {"Content-Length": str(len(body)), **resource.headers}
                if not resource.says_length:
                    headers = {"Connection": "close", **resource.headers}
                if start is not None:
                    headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
                if resource.etag:
                    headers["ETag"] = resource.etag
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if resource.drops:
                    self.wfile.write(body[: resource.drops.pop(0)])
                    self.wfile.flush()
                    if resource.stall is not None:
                        resource.stall.wait(60)
                    self.close_connection = True
                    self.connection.close()
                    return
                self.wfile.write(body)

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):  # broken off on purpose
                    super().finish()

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def impatient() -> HttpOptions:
    """No pauses, so that tests of faults do not wait."""
    return HttpOptions(attempts=3, backoff=0.0, connect_timeout=5.0, read_timeout=5.0)


def step_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "DVC_NO_ANALYTICS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def write_job(tmp_path: Path) -> Callable[..., Path]:
    """Write a job file below `tmp_path`; returns its path."""

    def write(step: str, params: dict[str, Any], sidecar: str, inputs: dict[str, str] | None = None) -> Path:
        name = f"{step}/{Path(sidecar).stem}"
        return write_job_file(tmp_path / "jobs", step, params, {"sidecar": sidecar}, inputs, name=name)

    return write


@pytest.fixture
def run_step(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m pipeline_src run` in `tmp_path`."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline_src", "run", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=step_environment(), capture_output=True, text=True)

    return run
