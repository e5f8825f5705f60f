"""Downloads that are broken off, changed, refused or wrong, against a server with chosen faults."""

import random
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from pipeline_src.data import http
from pipeline_src.data.http import DownloadError, HttpOptions, download
from pipeline_src.errors import InputError

from .conftest import Server

DATA = random.Random(7).randbytes(300_001)
OTHER = random.Random(8).randbytes(300_001)


def test_a_plain_download_asks_once_and_brings_the_bytes(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    part = tmp_path / "f.part"
    assert download(server.add("/f", DATA), part, "f", len(DATA), options=impatient) is False
    assert part.read_bytes() == DATA
    assert server.requests == [("/f", None)]


@pytest.mark.parametrize("seed", range(4))
def test_a_download_broken_off_anywhere_continues_where_it_stopped(
    server: Server, tmp_path: Path, impatient: HttpOptions, seed: int
):
    draw = random.Random(seed)
    drops = [draw.randrange(1, 60_000) for _ in range(5)]  # more often than `attempts`: each got further
    part = tmp_path / "f.part"
    assert (
        download(server.add("/f", DATA, drops=list(drops)), part, "f", len(DATA), options=impatient) is True
    )
    assert part.read_bytes() == DATA
    starts = [0 if given is None else int(given[6:-1]) for _, given in server.requests]
    assert starts == [sum(drops[:count]) for count in range(6)]


def test_a_later_run_continues_what_an_earlier_one_left(server: Server, tmp_path: Path):
    url = server.add("/f", DATA, drops=[100_000])
    part = tmp_path / "f.part"
    once = HttpOptions(attempts=1, backoff=0.0)
    with pytest.raises(DownloadError):
        download(url, part, "f", len(DATA), options=once)
    assert part.read_bytes() == DATA[:100_000]
    assert download(url, part, "f", len(DATA), options=once) is True
    assert part.read_bytes() == DATA
    assert server.requests[-1] == ("/f", "bytes=100000-")


@pytest.mark.parametrize(
    ("wish", "pause"), [("0", 0.0), ("7", 7.0), ("86400", 120.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 1.0)]
)
def test_a_busy_servers_wish_is_granted_within_limits(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str, pause: float
):
    """A pause of a day is none that anybody wants to wait for; a date is not read."""
    slept: list[float] = []
    monkeypatch.setattr(http.time, "sleep", slept.append)
    url = server.add("/f", DATA, statuses=[503], headers={"Retry-After": wish})
    download(url, tmp_path / "f.part", "f", len(DATA), options=HttpOptions(backoff=1.0))
    assert slept == [pause]


def test_a_file_with_a_weak_tag_is_continued_all_the_same(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    part = tmp_path / "f.part"
    url = server.add("/f", DATA, etag='W/"v1"', drops=[100_000])
    assert download(url, part, "f", len(DATA), options=impatient) is True
    assert part.read_bytes() == DATA
    assert part.with_name("f.part.json").exists()
    assert [given for _, given in server.requests] == [None, "bytes=100000-"]


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path, impatient: HttpOptions):
    part = tmp_path / "f.part"
    url = server.add("/f", DATA, ranges=False, drops=[200_000, 250_000])
    assert download(url, part, "f", len(DATA), options=impatient) is False
    assert part.read_bytes() == DATA
    assert len(server.requests) == 3


@pytest.mark.parametrize("honours", [True, False])
def test_a_file_that_changed_on_the_server_is_not_mixed(
    server: Server, tmp_path: Path, impatient: HttpOptions, honours: bool
):
    part = tmp_path / "f.part"
    url = server.add("/f", DATA, drops=[100_000])
    with pytest.raises(DownloadError):
        download(url, part, "f", options=HttpOptions(attempts=1))
    server.add("/f", OTHER, etag='"v2"', honours_if_range=honours)
    assert download(url, part, "f", options=impatient) is False
    assert part.read_bytes() == OTHER


def test_an_answer_without_a_length_that_ends_early_is_noticed_by_the_known_size(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    part = tmp_path / "f.part"
    url = server.add("/f", DATA, drops=[100_000], says_length=False)
    download(url, part, "f", len(DATA), options=impatient)
    assert part.read_bytes() == DATA
    assert [given for _, given in server.requests] == [None, "bytes=100000-"]


def test_a_file_that_became_shorter_starts_again(server: Server, tmp_path: Path, impatient: HttpOptions):
    part = tmp_path / "f.part"
    url = server.add("/f", DATA, etag=None, drops=[100_000])
    with pytest.raises(DownloadError):
        download(url, part, "f", options=HttpOptions(attempts=1))
    server.add("/f", OTHER[:50_000], etag=None)
    download(url, part, "f", options=impatient)
    assert part.read_bytes() == OTHER[:50_000]


def test_a_part_that_is_complete_is_recognised(server: Server, tmp_path: Path, impatient: HttpOptions):
    part = tmp_path / "f.part"
    url = server.add("/f", DATA)
    download(url, part, "f", options=impatient)
    assert download(url, part, "f", options=impatient) is True
    assert part.read_bytes() == DATA
    assert server.requests[-1] == ("/f", f"bytes={len(DATA)}-")


def test_a_part_of_unknown_origin_is_not_continued(server: Server, tmp_path: Path, impatient: HttpOptions):
    part = tmp_path / "f.part"
    part.write_bytes(b"x" * 1000)
    assert download(server.add("/f", DATA), part, "f", options=impatient) is False
    assert part.read_bytes() == DATA


def test_another_mirror_continues_what_the_first_began(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    part = tmp_path / "f.part"
    with pytest.raises(DownloadError):
        download(server.add("/a", DATA, drops=[90_000]), part, "f", options=HttpOptions(attempts=1))
    assert download(server.add("/b", DATA, etag='"x"'), part, "f", options=impatient) is True
    assert part.read_bytes() == DATA
    assert server.requests[-1] == ("/b", "bytes=90000-")


def test_without_a_checksum_another_mirror_starts_again(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    part = tmp_path / "f.part"
    with pytest.raises(DownloadError):
        download(server.add("/a", DATA, drops=[90_000]), part, "f", options=HttpOptions(attempts=1))
    assert download(server.add("/b", OTHER), part, "f", verifiable=False, options=impatient) is False
    assert part.read_bytes() == OTHER


def test_a_refusal_is_final_and_a_busy_server_is_asked_again(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    part = tmp_path / "f.part"
    with pytest.raises(DownloadError, match=r"^HTTP 404 Not Found$"):
        download(server.add("/f", DATA)[:-1] + "none", part, "f", options=impatient)
    assert len(server.requests) == 1
    download(server.add("/g", DATA, statuses=[503, 429]), part, "g", options=impatient)
    assert part.read_bytes() == DATA
    with pytest.raises(DownloadError, match=r"^HTTP 503 .*3 attempts"):
        download(server.add("/h", DATA, statuses=[503] * 9), part, "h", options=impatient)


def test_another_length_is_refused_before_a_byte_is_written(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    part = tmp_path / "f.part"
    with pytest.raises(DownloadError, match="offers 300001 bytes where 300000 are expected"):
        download(server.add("/f", DATA), part, "f", 300_000, options=impatient)
    assert not part.exists()


def test_a_web_page_is_not_taken_where_nothing_can_be_verified(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    url = server.add("/f", b"<html>log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(DownloadError, match="web page"):
        download(url, tmp_path / "f.part", "f", verifiable=False, options=impatient)


def test_an_archive_that_the_server_calls_gzip_encoded_stays_packed(
    server: Server, tmp_path: Path, impatient: HttpOptions
):
    import gzip

    packed = gzip.compress(DATA, mtime=0)
    part = tmp_path / "f.part"
    url = server.add("/f.tgz", packed, headers={"Content-Encoding": "gzip"})
    download(url, part, "f", len(packed), options=impatient)
    assert part.read_bytes() == packed


def test_a_server_that_falls_silent_is_given_up_and_continued(server: Server, tmp_path: Path):
    part = tmp_path / "f.part"
    release = threading.Event()
    url = server.add("/f", DATA, drops=[200_000], stall=release)
    try:
        download(url, part, "f", options=HttpOptions(attempts=2, backoff=0.0, read_timeout=0.3))
    finally:
        release.set()
    assert part.read_bytes() == DATA
    (_, first), (_, second) = server.requests
    assert first is None and second is not None
    assert 0 < int(second[6:-1]) <= 200_000


def test_a_host_that_cannot_be_reached_is_named(tmp_path: Path, impatient: HttpOptions):
    with pytest.raises(
        DownloadError, match=r"cannot connect to 127\.0\.0\.1 .*refused.*3 attempts"
    ) as caught:
        download("http://127.0.0.1:9/f", tmp_path / "f.part", "f", options=impatient)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_noticed_before_the_download(
    server: Server, tmp_path: Path, impatient: HttpOptions, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9, 64 << 20))
    with pytest.raises(InputError, match=r"300\.0 kB are needed, only 67\.1 MB are free"):
        download(server.add("/f", DATA), tmp_path / "f.part", "f", options=impatient)
    assert not (tmp_path / "f.part").exists()
