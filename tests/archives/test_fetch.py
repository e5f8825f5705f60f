"""Where a file is looked for, in which order, and that nothing unverified gets its final name."""

import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from pipeline_src.data import checksums
from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.fetch import fetch
from pipeline_src.data.http import HttpOptions
from pipeline_src.errors import InputError

from .conftest import Server

DATA = random.Random(1).randbytes(50_000)
WRONG = random.Random(2).randbytes(50_000)


def row_of(*urls: str, data: bytes = DATA, **changes: object) -> RemoteFile:
    values: dict[str, object] = {
        "name": "set",
        "file": "set.tar",
        "urls": urls,
        "bytes": len(data),
        "md5": hashlib.md5(data).hexdigest(),
        "sha1": hashlib.sha1(data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return RemoteFile(**{**values, **changes})  # type: ignore[arg-type]


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    path = tmp_path / "mirror"
    path.mkdir()
    return path


def test_what_is_fetched_is_on_the_disk_before_it_has_its_name(
    server: Server,
    folder: Path,
    mirror: Path,
    impatient: HttpOptions,
    synced: list[int],
    monkeypatch: pytest.MonkeyPatch,
):
    fetch(row_of(server.add("/set.tar", DATA)), folder, options=impatient)
    assert len(DATA) in synced
    # and where a file of a mirror cannot be linked, its copy
    synced.clear()
    (mirror / "set.tar").write_bytes(DATA)
    monkeypatch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(OSError("no links here")))
    fetch(row_of(), folder.with_name("others"), mirror=mirror)
    assert len(DATA) in synced


def test_a_download_gets_its_name_with_every_checksum_recorded(
    server: Server, folder: Path, impatient: HttpOptions
):
    url = server.add("/set.tar", DATA)
    fetched = fetch(row_of(url), folder, options=impatient)
    assert fetched.path.read_bytes() == DATA
    assert fetched.origin == url
    assert fetched.verified == ("bytes", "md5", "sha1", "sha256")
    record = fetched.record()
    assert [record[name] for name in ("bytes", "md5", "sha1", "sha256")] == [
        len(DATA),
        *(hashlib.new(name, DATA).hexdigest() for name in ("md5", "sha1", "sha256")),
    ]
    assert visible(folder) == {"set.tar", "set.tar.checked.json"}


def test_a_verified_file_is_neither_fetched_nor_read_again(
    server: Server, folder: Path, impatient: HttpOptions, monkeypatch: pytest.MonkeyPatch
):
    row = row_of(server.add("/set.tar", DATA))
    fetch(row, folder, options=impatient)
    monkeypatch.setattr(checksums, "measure", lambda path: pytest.fail("was read again"))
    assert fetch(row, folder, options=impatient).origin == "already there"
    assert len(server.requests) == 1


def test_a_file_that_changed_after_its_check_is_set_aside_and_fetched_again(
    server: Server, folder: Path, impatient: HttpOptions
):
    row = row_of(server.add("/set.tar", DATA))
    target = fetch(row, folder, options=impatient).path
    before = target.stat()
    target.write_bytes(WRONG)  # same size
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert fetch(row, folder, options=impatient).origin == row.urls[0]
    assert target.read_bytes() == DATA
    assert (folder / "set.tar.bad").read_bytes() == WRONG


def test_a_file_that_a_user_put_there_is_checked_once(folder: Path):
    folder.mkdir()
    (folder / "set.tar").write_bytes(DATA)
    assert fetch(row_of(), folder).origin == "already there"
    (folder / "other.tar").write_bytes(WRONG)
    with pytest.raises(InputError, match=r"md5: expected .*, got .*set aside as other\.tar\.bad"):
        fetch(row_of(name="other", file="other.tar"), folder)
    assert not (folder / "other.tar").exists()


@pytest.mark.parametrize("known", ["bytes", "md5", "sha1", "sha256"])
def test_each_known_fact_alone_refuses_a_wrong_file(
    server: Server, folder: Path, impatient: HttpOptions, known: str
):
    nothing = dict.fromkeys(["bytes", "md5", "sha1", "sha256"])
    right = row_of()
    row = row_of(server.add("/set.tar", WRONG[:-1]), **{**nothing, known: getattr(right, known)})
    with pytest.raises(InputError) as caught:
        fetch(row, folder, accept_unverified=True, options=impatient)
    message = str(caught.value)
    if known == "bytes":
        assert "offers 49999 bytes where 50000 are expected" in message
    else:
        got = hashlib.new(known, WRONG[:-1]).hexdigest()
        assert f"{known}: expected {getattr(right, known)}, got {got}" in message
    assert visible(folder) == set()


def test_corrupt_bytes_and_dead_addresses_fall_through_to_the_next(
    server: Server, folder: Path, impatient: HttpOptions, tmp_path: Path
):
    local = tmp_path / "elsewhere" / "set.tar"
    urls = (
        server.add("/bad.tar", WRONG),
        server.add("/long.tar", DATA + b"x"),
        "http://127.0.0.1:9/set.tar",
        server.add("/gone", b"")[:-4] + "404",
        f"file://{local}",
        server.add("/set.tar", DATA),
        server.add("/never.tar", DATA),
    )
    fetched = fetch(row_of(*urls), folder, options=impatient)
    assert fetched.origin == urls[5]
    assert [path for path, _ in server.requests] == ["/bad.tar", "/long.tar", "/404", "/set.tar"]


def test_when_every_source_fails_each_is_named_with_what_would_help(
    server: Server, folder: Path, impatient: HttpOptions
):
    urls = (server.add("/bad.tar", WRONG), "http://127.0.0.1:9/set.tar")
    with pytest.raises(InputError) as caught:
        fetch(row_of(*urls), folder, options=impatient)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        *urls,
        f"got {hashlib.md5(WRONG).hexdigest()}",
        "cannot connect",
        "--config mirror=FOLDER",
        f"{folder}",
    ):
        assert part in message
    assert visible(folder) == set()


def test_pieces_of_two_versions_are_thrown_away_and_fetched_whole(
    server: Server, folder: Path, impatient: HttpOptions
):
    # no ETag: the server cannot tell that the file changed between the two pieces
    url = server.add("/set.tar", WRONG, etag=None, drops=[20_000])
    row = row_of(url)
    with pytest.raises(InputError):
        fetch(row, folder, options=HttpOptions(attempts=1))
    assert visible(folder) == {"set.tar.part", "set.tar.part.json"}
    server.add("/set.tar", DATA, etag=None)
    assert fetch(row, folder, options=impatient).path.read_bytes() == DATA
    assert [given for _, given in server.requests] == [None, "bytes=20000-", None]


@pytest.mark.parametrize("place", ["set.tar", "set/set.tar"])
@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_mirror_folder_is_taken_before_any_address(
    server: Server, folder: Path, mirror: Path, place: str, form: str
):
    (mirror / place).parent.mkdir(exist_ok=True)
    (mirror / place).write_bytes(DATA)
    fetched = fetch(row_of(server.add("/set.tar", DATA)), folder, mirror=form.format(mirror))
    assert fetched.path.read_bytes() == DATA
    assert fetched.origin == f"mirror {mirror / place}"
    assert server.requests == []
    assert visible(folder) == {"set.tar", "set.tar.checked.json"}


def test_a_mirror_is_copied_where_it_cannot_be_linked(
    folder: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
):
    (mirror / "set.tar").write_bytes(DATA)

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    target = fetch(row_of(), folder, mirror=mirror).path
    assert target.read_bytes() == DATA
    assert not target.samefile(mirror / "set.tar")


def test_a_link_in_a_mirror_brings_the_file_and_not_the_link(folder: Path, mirror: Path, tmp_path: Path):
    (tmp_path / "store").write_bytes(DATA)
    (mirror / "set.tar").symlink_to(tmp_path / "store")
    target = fetch(row_of(), folder, mirror=mirror).path
    assert not target.is_symlink() and target.read_bytes() == DATA


def test_the_folder_itself_may_be_the_mirror(folder: Path):
    folder.mkdir()
    (folder / "set").mkdir()
    (folder / "set" / "set.tar").write_bytes(DATA)
    assert fetch(row_of(), folder, mirror=folder).path.read_bytes() == DATA
    assert fetch(row_of(), folder, mirror=folder).origin == "already there"


def test_a_wrong_mirror_is_reported_and_left_alone(
    server: Server, folder: Path, mirror: Path, impatient: HttpOptions, capsys: pytest.CaptureFixture[str]
):
    (mirror / "set.tar").write_bytes(WRONG)
    row = row_of(server.add("/set.tar", DATA))
    assert fetch(row, folder, mirror=mirror, options=impatient).origin == row.urls[0]
    assert f"set.tar from mirror {mirror / 'set.tar'} is refused: md5: expected" in capsys.readouterr().err
    assert (mirror / "set.tar").read_bytes() == WRONG


def test_an_http_mirror_is_asked_first(server: Server, folder: Path, impatient: HttpOptions):
    base = server.add("/mirror/set.tar", DATA)[: -len("/set.tar")]
    row = row_of(server.add("/set.tar", DATA))
    assert fetch(row, folder, mirror=base + "/", options=impatient).origin == f"{base}/set.tar"
    assert len(server.requests) == 1


def test_a_mirror_that_is_not_there_is_refused_at_once(server: Server, folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"mirror .*nowhere: no such folder"):
        fetch(row_of(server.add("/set.tar", DATA)), folder, mirror=tmp_path / "nowhere")
    assert server.requests == []


def test_a_local_address_works_without_a_network(folder: Path, tmp_path: Path):
    source = tmp_path / "with blank" / "set.tar"
    source.parent.mkdir()
    source.write_bytes(DATA)
    url = source.as_uri()
    assert "%20" in url
    assert fetch(row_of(url), folder).path.read_bytes() == DATA


UNKNOWN = {"bytes": None, "md5": None, "sha1": None, "sha256": None}


def test_without_any_checksum_nothing_is_even_asked(server: Server, folder: Path):
    with pytest.raises(InputError, match=r"no checksum of set is known.*--config accept_unverified=true"):
        fetch(row_of(server.add("/set.tar", DATA), **UNKNOWN), folder)
    assert server.requests == []


def test_an_unverified_file_is_taken_when_that_is_accepted(
    server: Server, folder: Path, impatient: HttpOptions
):
    row = row_of(server.add("/set.tar", DATA), **UNKNOWN)
    fetched = fetch(row, folder, accept_unverified=True, options=impatient)
    assert fetched.facts.sha256 == hashlib.sha256(DATA).hexdigest()
    assert fetched.verified == ()


def test_a_web_page_is_not_accepted_for_a_file_that_nothing_verifies(
    server: Server, folder: Path, impatient: HttpOptions
):
    page = {"Content-Type": "text/html"}
    row = row_of(server.add("/set.tar", b"<html>log in</html>", headers=page), **UNKNOWN)
    with pytest.raises(InputError, match="answered with a web page, not with the file"):
        fetch(row, folder, accept_unverified=True, options=impatient)
    assert visible(folder) == set()
    # where a checksum decides, a server may call its files what it likes
    fetch(row_of(server.add("/set.tar", DATA, headers=page)), folder, options=impatient)
    assert (folder / "set.tar").read_bytes() == DATA


def test_a_candidate_of_the_wrong_kind_is_refused(server: Server, folder: Path, impatient: HttpOptions):
    def check(path: Path) -> None:
        raise InputError("not of the right kind")

    row = row_of(server.add("/set.tar", DATA), **UNKNOWN)
    with pytest.raises(InputError, match="not of the right kind"):
        fetch(row, folder, accept_unverified=True, check=check, options=impatient)
    assert visible(folder) == set()


LOGIN = "register at https://example.org/register/, log in, and download set.tar from https://example.org/7"


def test_a_login_archive_says_what_to_do_and_leaves_nothing(folder: Path, mirror: Path):
    with pytest.raises(InputError) as caught:
        fetch(row_of(login=LOGIN), folder, mirror=mirror)
    message = str(caught.value)
    assert "\n" not in message
    for part in (LOGIN, f"put it into {folder}", "--config mirror=FOLDER"):
        assert part in message
    assert visible(folder) == set()


def test_a_login_archive_is_verified_like_any_other(folder: Path, mirror: Path):
    row = row_of(login=LOGIN)
    (mirror / "set.tar").write_bytes(WRONG)
    with pytest.raises(InputError, match=r"refused: mirror .*md5: expected"):
        fetch(row, folder, mirror=mirror)
    (mirror / "set.tar").unlink()
    (mirror / "set.tar").write_bytes(DATA)
    assert fetch(row, folder, mirror=mirror).path.read_bytes() == DATA
    assert fetch(row, folder).origin == "already there"


def test_two_processes_that_want_the_same_file_download_it_once(
    server: Server, folder: Path, impatient: HttpOptions
):
    row = row_of(server.add("/set.tar", DATA))
    origins: list[str] = []
    threads = [
        threading.Thread(target=lambda: origins.append(fetch(row, folder, options=impatient).origin))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(origins) == ["already there"] * 3 + [row.urls[0]]
    assert len(server.requests) == 1


def test_wrong_bytes_that_were_continued_are_fetched_again_once_then_elsewhere(
    server: Server, folder: Path, impatient: HttpOptions
):
    bad = server.add("/bad.tar", WRONG, drops=[25_000] * 100)  # every transfer breaks off half-way
    good = server.add("/good.tar", DATA)
    assert fetch(row_of(bad, good), folder, options=impatient).origin == good
    assert [path for path, _ in server.requests] == ["/bad.tar"] * 4 + ["/good.tar"]
    assert (folder / "set.tar").read_bytes() == DATA


def test_a_part_of_the_file_that_nobody_asked_for_is_refused(
    server: Server, folder: Path, impatient: HttpOptions
):
    odd = server.add("/odd.tar", DATA, statuses=[206] * 100)
    good = server.add("/good.tar", DATA)
    assert fetch(row_of(odd, good), folder, options=impatient).origin == good
    assert [path for path, _ in server.requests] == ["/odd.tar", "/good.tar"]
    with pytest.raises(InputError, match="HTTP 206"):
        fetch(row_of(odd), folder.with_name("others"), options=impatient)


def test_a_server_that_has_less_than_it_promised_is_asked_again_once_then_the_next(
    server: Server, folder: Path, impatient: HttpOptions
):
    # 2500 bytes of 5000 come; the rest is answered with 416 and `bytes */2500`
    short = server.add("/short.tar", WRONG[:2500], etag=None, headers={"Content-Length": "5000"})
    server.resources["/short.tar"].drops = [2500] * 100
    good = server.add("/good.tar", DATA)
    assert fetch(row_of(short, good, bytes=None), folder, options=impatient).origin == good
    assert server.requests == [
        *[("/short.tar", None), ("/short.tar", "bytes=2500-")] * 2,
        ("/good.tar", None),
    ]


@pytest.mark.parametrize("first", ["/began.tar", "/other.tar"])
def test_a_part_of_the_file_that_does_not_say_which_is_refused(
    server: Server, folder: Path, impatient: HttpOptions, capsys: pytest.CaptureFixture[str], first: str
):
    began = server.add("/began.tar", DATA, drops=[20_000])
    with pytest.raises(InputError):
        fetch(row_of(began), folder, options=HttpOptions(attempts=1))
    odd = began if first == "/began.tar" else server.add(first, DATA)
    server.resources[first].statuses = [206] * 100
    server.requests.clear()
    good = server.add("/good.tar", DATA)
    assert fetch(row_of(odd, good), folder, options=impatient).origin == good
    # the other address's bytes are good and are continued
    kept = None if odd == began else "bytes=20000-"
    assert server.requests == [(first, "bytes=20000-"), ("/good.tar", kept)]
    assert "does not say which part" in capsys.readouterr().err
