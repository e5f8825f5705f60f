"""Unpacking archives: the bytes arrive, nothing leaves the folder, nothing is half done."""

import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_src.data import extract as extract_module
from pipeline_src.data.extract import extract, unpack_members
from pipeline_src.errors import InputError

IDENTITY = {"archive": "a" * 64, "convert": None}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def random_tree(seed: int) -> dict[str, bytes]:
    draw = random.Random(seed)
    files = {f"d{draw.randrange(4)}/e{draw.randrange(3)}/f{i}.bin": b"" for i in range(draw.randrange(1, 30))}
    return {name: draw.randbytes(draw.choice([0, 1, 511, 512, 513, 70_001])) for name in files}


def pack_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def pack_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return path


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", ["tar", "tgz", "tar.xz", "zip"])
def test_every_file_arrives_with_its_bytes(tmp_path: Path, form: str, seed: int):
    files = random_tree(seed)
    archive = tmp_path / f"set.{form}"
    if form == "zip":
        pack_zip(archive, files)
    else:
        pack_tar(archive, files, {"tar": "w", "tgz": "w:gz", "tar.xz": "w:xz"}[form])
    result = extract(archive, tmp_path / "out" / "set", IDENTITY)
    assert tree(result.root) == files
    assert (result.files, result.bytes) == (len(files), sum(map(len, files.values())))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"set", "set.extracted.json"}


def test_what_was_remembered_is_forgotten_before_another_archive_takes_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A crash between the two must not leave the second archive's files under the first one's name."""
    first, second = ({"mask.png": bytes([level]) * 9} for level in (1, 2))
    archives = [pack_tar(tmp_path / f"{n}.tar", files) for n, files in enumerate((first, second))]
    target, other = tmp_path / "set", {**IDENTITY, "archive": "b" * 64}
    extract(archives[0], target, IDENTITY)
    with monkeypatch.context() as crash:
        crash.setattr(extract_module, "write_json", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            extract(archives[1], target, other)
    assert tree(target) == second
    assert extract(archives[0], target, IDENTITY).fresh
    assert tree(target) == first


def test_folders_and_links_that_stay_inside_are_kept(tmp_path: Path):
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, "w") as tar:
        for name, kind, link in [
            ("./a", tarfile.DIRTYPE, ""),
            ("a/empty", tarfile.DIRTYPE, ""),
            ("a/x", tarfile.REGTYPE, ""),
            ("a/soft", tarfile.SYMTYPE, "../a/x"),
            ("hard", tarfile.LNKTYPE, "a/x"),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = 5 if kind == tarfile.REGTYPE else 0
            member.mode = 0o755
            tar.addfile(member, io.BytesIO(b"hello") if member.size else None)
    root = extract(archive, tmp_path / "set", IDENTITY).root
    assert (root / "a" / "empty").is_dir()
    assert (root / "a" / "soft").is_symlink() and (root / "a" / "soft").read_bytes() == b"hello"
    assert (root / "hard").read_bytes() == b"hello"


Member = tuple[str, bytes, str]
FILE, SOFT, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
MALICIOUS: dict[str, list[Member]] = {
    "absolute": [("/tmp/escaped", FILE, "")],
    "parent": [("../escaped", FILE, "")],
    "parent inside": [("a/../../escaped", FILE, "")],
    "backslash": [("..\\escaped", FILE, "")],
    "drive": [("C:escaped", FILE, "")],
    "absolute symlink": [("link", SOFT, "/etc")],
    "escaping symlink": [("a/link", SOFT, "../../outside")],
    "escaping hard link": [("link", HARD, "../outside/canary")],
    "absolute hard link": [("link", HARD, "/etc/passwd")],
    "file through a symlink": [("d", SOFT, "."), ("d/escaped", FILE, "")],
    "symlink up by way of another": [("a/b", SOFT, ".."), ("c", SOFT, "a/b/.."), ("c/escaped", FILE, "")],
    "symlink whose meaning changes later": [("z", SOFT, "x/y/w"), ("x/y/w", SOFT, "../../..")],
    "dangling symlink that would escape": [("z", SOFT, "x/y/../.."), ("x/y", SOFT, ".")],
    "file over a symlink": [("d", SOFT, "target"), ("d", FILE, "")],
    "hard link to a symlink": [("d", SOFT, "."), ("e", HARD, "d")],
    "character device": [("null", tarfile.CHRTYPE, "")],
    "block device": [("disk", tarfile.BLKTYPE, "")],
    "pipe": [("pipe", tarfile.FIFOTYPE, "")],
}


def malicious_tar(path: Path, members: list[Member]) -> Path:
    with tarfile.open(path, "w") as tar:
        harmless = tarfile.TarInfo("harmless")
        harmless.size = 2
        tar.addfile(harmless, io.BytesIO(b"ok"))
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = 4 if kind == FILE else 0
            tar.addfile(member, io.BytesIO(b"evil") if member.size else None)
    return path


@pytest.mark.parametrize("members", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_a_tar_member_that_would_leave_the_folder_is_refused_and_nothing_stays(
    tmp_path: Path, members: list[Member]
):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_bytes(b"alive")
    archive = malicious_tar(tmp_path / "set.tar", members)
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"set\.tar: refused, ") as caught:
        extract(archive, tmp_path / "out" / "set", IDENTITY)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["/tmp/escaped", "../escaped", "a/../../escaped", "..\\escaped", "C:/escaped"]
)
def test_a_zip_member_that_would_leave_the_folder_is_refused_and_nothing_stays(tmp_path: Path, name: str):
    archive = pack_zip(tmp_path / "set.zip", {"harmless": b"ok", name: b"evil"})
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"set\.zip: refused, .*outside its folder"):
        extract(archive, tmp_path / "out" / "set", IDENTITY)
    assert tree(tmp_path) == before
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_zip_member_that_is_no_file_is_refused(tmp_path: Path, kind: int):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        member = zipfile.ZipInfo("link")
        member.create_system = 3
        member.external_attr = (kind | 0o777) << 16
        bundle.writestr(member, "/etc/passwd")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        extract(archive, tmp_path / "set", IDENTITY)
    assert not (tmp_path / "set").exists()


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


ODD: dict[str, list[Member]] = {
    "hard link to nothing": [("link", HARD, "missing")],
    "file and folder of one name": [("a", FILE, ""), ("a/b", FILE, "")],
    "name of 300 characters": [("x" * 300, FILE, "")],
}


@pytest.mark.parametrize("members", ODD.values(), ids=ODD.keys())
def test_an_odd_tar_is_one_line_and_leaves_nothing(tmp_path: Path, members: list[Member]):
    archive = malicious_tar(tmp_path / "set.tar", members)
    with pytest.raises(InputError, match=r"set\.tar: (damaged|refused)") as caught:
        extract(archive, tmp_path / "out" / "set", IDENTITY)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_odd_zip_is_one_line_and_leaves_nothing(tmp_path: Path):
    one_name = pack_zip(tmp_path / "names.zip", {"a": b"1", "a/b": b"2"})
    unknown = pack_zip(tmp_path / "method.zip", {"a": b"1"})
    data = bytearray(unknown.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # where the method stands in both headers
        data[data.index(mark) + offset] = 77
    unknown.write_bytes(data)
    for archive in (one_name, unknown):
        with pytest.raises(InputError, match=rf"{archive.name}: (damaged|refused)"):
            extract(archive, tmp_path / "out" / "set", IDENTITY)
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("form", ["tgz", "zip"])
def test_an_archive_that_grows_beyond_measure_is_refused(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
):
    zeros = bytes(1 << 20)
    archive = tmp_path / f"set.{form}"
    if form == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("zeros", zeros)
    else:
        with tarfile.open(archive, "w:gz") as tar:
            member = tarfile.TarInfo("zeros")
            member.size = len(zeros)
            tar.addfile(member, io.BytesIO(zeros))
    assert len(zeros) > 100 * archive.stat().st_size
    extract(archive, tmp_path / "small", IDENTITY)  # a million zeros do no harm
    monkeypatch.setattr("pipeline_src.data.extract._HARMLESS", 1000)
    with pytest.raises(InputError, match="more than 100 times its size"):
        extract(archive, tmp_path / "out" / "set", IDENTITY)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("damage", ["cut tgz", "flipped tgz", "flipped zip", "text", "empty", "missing"])
def test_a_damaged_archive_is_named_and_leaves_nothing(tmp_path: Path, damage: str):
    files = {"a": random.Random(0).randbytes(40_000)}
    archive = tmp_path / ("set.zip" if "zip" in damage else "set.tgz")
    if damage.endswith("zip"):
        flip(pack_zip(archive, files), 20_000)
    elif damage.endswith("tgz"):
        pack_tar(archive, files, "w:gz")
        if damage.startswith("cut"):
            archive.write_bytes(archive.read_bytes()[:20_000])
        else:
            flip(archive, len(archive.read_bytes()) - 6)  # the gzip checksum
    elif damage != "missing":
        archive.write_bytes(b"hello\n" * 1000 if damage == "text" else b"")
    with pytest.raises(InputError, match=r"set\.(zip|tgz): (damaged|neither a tar|no such archive)"):
        extract(archive, tmp_path / "out" / "set", IDENTITY)
    assert not (tmp_path / "out" / "set").exists()
    assert not list(tmp_path.glob("out/.*")) and not list(tmp_path.glob("out/*"))


def test_what_is_unpacked_is_not_unpacked_again_even_without_its_archive(tmp_path: Path):
    archive = pack_tar(tmp_path / "set.tar", random_tree(5))
    first = extract(archive, tmp_path / "set", IDENTITY)
    archive.unlink()
    second = extract(archive, tmp_path / "set", IDENTITY)
    assert first.fresh and not second.fresh
    assert (second.files, second.bytes, second.facts) == (first.files, first.bytes, first.facts)


def lose_a_file(root: Path) -> None:
    (root / "a").unlink()


def cut_a_file(root: Path) -> None:
    (root / "a").write_bytes(b"h")


def add_a_file(root: Path) -> None:
    (root / "new").write_bytes(b"")


def spoil_the_record(root: Path) -> None:
    root.with_name("set.extracted.json").write_text("{")


@pytest.mark.parametrize("change", [lose_a_file, cut_a_file, add_a_file, spoil_the_record])
def test_a_folder_that_is_not_as_it_was_unpacked_is_made_anew(tmp_path: Path, change: Callable[[Path], None]):
    files = {"a": b"hello", "b": b"world"}
    archive = pack_tar(tmp_path / "set.tar", files)
    root = extract(archive, tmp_path / "set", IDENTITY).root
    change(root)
    assert extract(archive, root, IDENTITY).fresh
    assert tree(root) == files


def test_another_archive_replaces_what_an_earlier_one_left(tmp_path: Path):
    extract(pack_tar(tmp_path / "old.tar", {"old": b"1"}), tmp_path / "set", IDENTITY)
    new = extract(
        pack_tar(tmp_path / "new.tar", {"new": b"2"}), tmp_path / "set", {**IDENTITY, "archive": "b"}
    )
    assert new.fresh and tree(tmp_path / "set") == {"new": b"2"}


def test_a_killed_job_leaves_nothing_that_disturbs_the_next(tmp_path: Path):
    archive = pack_tar(tmp_path / "set.tar", {"a": b"1"})

    class Killed(BaseException):
        pass

    def killed_half_way(source: Path, folder: Path) -> dict[str, object]:
        unpack_members(source, folder)
        (folder / "half").write_bytes(b"")
        raise Killed

    with pytest.raises(Killed):
        extract(archive, tmp_path / "set", IDENTITY, killed_half_way)
    assert not (tmp_path / "set").exists()
    # SIGKILL runs no clean-up
    (tmp_path / ".set.extracting").mkdir()
    (tmp_path / ".set.extracting" / "half").write_bytes(b"")
    assert tree(extract(archive, tmp_path / "set", IDENTITY).root) == {"a": b"1"}
