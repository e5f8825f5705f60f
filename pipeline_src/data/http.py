"""Downloading one file over HTTP into a `.part` file that the next attempt continues.

What arrives is not trusted here: the caller checks it before it gets its final name. Beside the
`.part` file, `<part>.json` remembers which version of the remote file the bytes belong to.
"""

import errno
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from pipeline_src.data.free_space import require_space
from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.progress import Progress, say, size_text

_CHUNK = 1 << 16
"""Bytes per read: what a broken connection can lose of what had arrived."""
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class DownloadError(Exception):
    """This address cannot deliver the file; the message is a short reason."""


class _Interruption(Exception):
    """The transfer stopped in a way that another attempt may mend."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class HttpOptions:
    """How patient a download is: attempts without progress, first pause, timeouts in seconds."""

    attempts: int = 4
    backoff: float = 1.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0


def download(
    url: str,
    part: Path,
    label: str,
    size: int | None = None,
    verifiable: bool = True,
    options: HttpOptions | None = None,
) -> bool:
    """Download `url` into `part`, continuing what is there; True when earlier bytes were continued.

    `size`: bytes expected, if known. `verifiable`: a checksum will decide afterwards; without one
    nothing is continued that the server does not vouch for, and web pages are refused.
    Raises `DownloadError` when the address fails for good, `InputError` when the disk is full.
    """
    options = options or HttpOptions()
    failures = 0
    furthest = 0
    while True:
        try:
            return _transfer(url, part, label, size, verifiable, options)
        except _Interruption as stop:
            reached = part.stat().st_size if part.exists() else 0
            # a transfer that gets further each time may stop as often as it likes
            failures = 1 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if failures >= options.attempts:
                raise DownloadError(f"{stop} ({failures} attempts)") from None
            pause = min(60.0, options.backoff * 2 ** (failures - 1)) if stop.wait is None else stop.wait
            say(f"{label}: {stop}; continuing at {size_text(reached)} in {pause:.0f} s")
            time.sleep(pause)


def discard(part: Path) -> None:
    """Remove a partial download and what is remembered about it."""
    part.unlink(missing_ok=True)
    _memory(part).unlink(missing_ok=True)


def _transfer(
    url: str, part: Path, label: str, size: int | None, verifiable: bool, options: HttpOptions
) -> bool:
    have, memory = _usable_part(part, url, verifiable)
    # "identity", and raw bytes below: some servers call a .tgz "gzip encoded" and it must stay packed
    headers = {"Accept-Encoding": "identity", "User-Agent": "fusebench"}
    if have:
        headers["Range"] = f"bytes={have}-"
        validator = memory.get("etag") or memory.get("modified")
        if validator and memory["url"] == url and not validator.startswith("W/"):
            headers["If-Range"] = validator
    timeout = (options.connect_timeout, options.read_timeout)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            have = _accept(response, part, url, have, memory)
            if response.status_code == 416:
                return True
            length = response.headers.get("Content-Length")
            total = have + int(length) if length and length.isdigit() else size
            if not verifiable and "html" in response.headers.get("Content-Type", ""):
                raise DownloadError("answered with a web page, not with the file")
            if size is not None and total != size:
                raise DownloadError(f"offers {total} bytes where {size} are expected")
            require_space(part.parent, (total or 0) - have)
            _remember(part, url, response, total)
            _receive(response, part, label, have, total)
    except requests.exceptions.SSLError as error:
        raise DownloadError(f"certificate problem ({_short(error)})") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise DownloadError(_short(error)) from None
    except requests.Timeout:
        raise _Interruption(f"{urlsplit(url).hostname} did not answer in time") from None
    except requests.ConnectionError as error:
        raise _Interruption(f"cannot connect to {urlsplit(url).hostname} ({_short(error)})") from None
    except (requests.RequestException, HTTPError) as error:
        raise _Interruption(f"transfer broke off ({_short(error)})") from None
    return have > 0


def _accept(response: requests.Response, part: Path, url: str, have: int, memory: dict[str, Any]) -> int:
    """The position at which the answer's bytes belong; refuses answers that bring none."""
    status = response.status_code
    if status == 200:
        return 0  # the whole file: the server ignores ranges, or the file has changed
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    total = int(span[2]) if span and span[2] != "*" else None
    if status == 206 and not have:
        raise DownloadError("answered with a part of the file (HTTP 206) where all of it was asked for")
    if status == 206 and span is None:
        if memory["url"] == url:
            discard(part)  # else the next run would end here as well; another address's bytes are still good
        raise DownloadError("answered with a part of the file (HTTP 206) and does not say which part")
    if status == 206:
        same = all(
            memory.get(key) is None or memory["url"] != url or memory[key] == response.headers.get(header)
            for key, header in (("etag", "ETag"), ("modified", "Last-Modified"))
        )
        if span and span[1] == str(have) and same and memory.get("total") in (None, total):
            return have
        if memory["url"] != url and total != memory["total"]:
            raise DownloadError(f"offers {total} bytes where {memory['total']} are expected")
        discard(part)
        raise _Interruption("the file on the server is another one now", wait=0.0)
    if status == 416:
        if have and total == have:
            return have  # nothing was missing
        discard(part)
        raise _Interruption("the file on the server is shorter than what was fetched", wait=0.0)
    reason = f"HTTP {status} {response.reason}".strip()
    if status in _TRANSIENT:
        after = response.headers.get("Retry-After", "")
        raise _Interruption(reason, wait=min(120.0, float(after)) if after.isdigit() else None)
    raise DownloadError(reason)


def _receive(response: requests.Response, part: Path, label: str, have: int, total: int | None) -> None:
    written = have
    with open(part, "ab" if have else "wb") as file, Progress(label, total, "B", have) as progress:
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                file.write(chunk)
                written += len(chunk)
                progress.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise InputError(f"{part}: the disk is full after {size_text(written)}") from None
            raise
    if total is not None and written != total:
        if written > total:
            discard(part)
        raise _Interruption(f"{written} of {total} bytes arrived")


def _usable_part(part: Path, url: str, verifiable: bool) -> tuple[int, dict[str, Any]]:
    """Bytes of an earlier attempt that may be continued from `url`, and what is known of them."""
    try:
        memory = json.loads(_memory(part).read_text(encoding="utf-8"))
        have = part.stat().st_size
        vouched = memory["url"] == url and (memory["etag"] or memory["modified"])
        # another mirror may continue it: same length, and the checksum decides in the end
        if have and (vouched or (verifiable and (memory["url"] == url or memory["total"] is not None))):
            return have, memory
    except (OSError, ValueError, KeyError, TypeError):
        pass
    discard(part)
    return 0, {}


def _remember(part: Path, url: str, response: requests.Response, total: int | None) -> None:
    headers = response.headers
    memory = {
        "url": url,
        "etag": headers.get("ETag"),
        "modified": headers.get("Last-Modified"),
        "total": total,
    }
    if response.status_code == 200:
        part.unlink(missing_ok=True)  # never new bytes' memory beside old bytes
    write_json(_memory(part), memory)


def _memory(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _short(error: BaseException) -> str:
    """The last, telling part of an error that wraps others, on one line."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = " ".join(str(error).split())
    return text.rsplit(": ", 1)[-1][:160] or type(error).__name__
