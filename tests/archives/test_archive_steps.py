"""The steps fetch, extract and weights as programs on job files, killed and started again included."""

import hashlib
import io
import json
import random
import re
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from pipeline_src.data.accepted_checksums import read_accepted
from pipeline_src.data.weights import check_safetensors
from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job
from pipeline_src.steps.extract import extract_archive

from .conftest import Server, step_environment
from .test_sbd import Sets


def tar_bytes(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


FILES = {"set/a.bin": random.Random(1).randbytes(300_000), "set/b.txt": b"b"}
DATA = tar_bytes(FILES)
WEIGHTS = save({"w": np.arange(12, dtype=np.float32).reshape(3, 4)})


def params_of(*urls: str, data: bytes = DATA) -> dict[str, object]:
    sha256 = hashlib.sha256(data).hexdigest()
    return {"name": "set", "file": "set.tar", "urls": list(urls), "bytes": len(data), "sha256": sha256}


def record(tmp_path: Path, path: str) -> dict:
    return json.loads((tmp_path / path).read_text())


def test_fetch_and_extract_leave_records_that_say_what_is_where(
    tmp_path, server: Server, write_job, run_step
):
    url = server.add("/set.tar", DATA)
    fetch_job = write_job("fetch", params_of(url), "data/archives/set.json")
    fetched = run_step(fetch_job)
    assert fetched.returncode == 0, fetched.stderr
    first = record(tmp_path, "data/archives/set.json")
    assert first["content"] == first["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert (first["path"], first["origin"]) == ("data/archives/set.tar", url)
    assert first["verified"] == ["bytes", "sha256"]
    assert (tmp_path / first["path"]).read_bytes() == DATA

    job = write_job(
        "extract", {"archive": "set"}, "data/extracted/set.json", {"archive": "data/archives/set.json"}
    )
    assert run_step(job).returncode == 0
    second = record(tmp_path, "data/extracted/set.json")
    assert (second["root"], second["files"]) == ("data/extracted/set", 2)
    assert second["inputs"]["archive"]["content"] == first["content"]
    for name, content in FILES.items():
        assert (tmp_path / "data/extracted/set" / name).read_bytes() == content

    # as after a lost record: the same content, and nothing is downloaded or unpacked again
    (tmp_path / "data/extracted/set.json").unlink()
    (tmp_path / "data/archives/set.json").unlink()
    marker = (tmp_path / "data/extracted/set/set/b.txt").stat().st_ino
    assert run_step(fetch_job).returncode == 0
    assert run_step(job).returncode == 0
    assert record(tmp_path, "data/extracted/set.json")["content"] == second["content"]
    assert (tmp_path / "data/extracted/set/set/b.txt").stat().st_ino == marker
    assert len(server.requests) == 1


def test_a_fetch_that_was_killed_continues_where_it_was(tmp_path, server: Server, write_job, run_step):
    release = threading.Event()
    url = server.add("/set.tar", DATA, drops=[200_000], stall=release)
    job = write_job("fetch", params_of(url), "data/archives/set.json")
    command = [sys.executable, "-m", "pipeline_src", "run", str(job)]
    process = subprocess.Popen(command, cwd=tmp_path, env=step_environment(), stderr=subprocess.DEVNULL)
    part = tmp_path / "data/archives/set.tar.part"
    try:
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 0):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        release.set()
    kept = part.stat().st_size
    assert not (tmp_path / "data/archives/set.tar").exists()
    assert not (tmp_path / "data/archives/set.json").exists()
    assert run_step(job).returncode == 0
    assert (tmp_path / "data/archives/set.tar").read_bytes() == DATA
    assert server.requests[-1] == ("/set.tar", f"bytes={kept}-")
    assert not part.exists()


def test_a_mirror_serves_a_machine_without_a_network(tmp_path, write_job, run_step):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/set.tar").write_bytes(DATA)
    job = write_job("fetch", params_of("http://127.0.0.1:9/set.tar"), "data/archives/set.json")
    assert run_step(job, "--mirror", "mirror").returncode == 0
    assert record(tmp_path, "data/archives/set.json")["origin"] == "mirror mirror/set.tar"


def test_a_login_archive_ends_with_one_line_and_status_2(tmp_path, write_job, run_step):
    params = {**params_of(), "login": "register at https://example.org, log in, and download set.tar"}
    done = run_step(write_job("fetch", params, "data/archives/set.json"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: set.tar needs an account") and done.stderr.count("\n") == 1
    assert "put it into data/archives" in done.stderr
    assert not (tmp_path / "data/archives/set.json").exists()


def test_an_archive_without_checksum_is_taken_only_on_request(tmp_path, server: Server, write_job, run_step):
    params = {"name": "set", "file": "set.tar", "urls": [server.add("/set.tar", DATA)]}
    job = write_job("fetch", params, "data/archives/set.json")
    refused = run_step(job)
    assert refused.returncode == 2 and "no checksum of set is known" in refused.stderr
    assert run_step(job, "--accept-unverified").returncode == 0
    assert record(tmp_path, "data/archives/set.json")["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_keeping_a_file_in_dvc_needs_a_dvc_repository(tmp_path, server: Server, write_job, run_step):
    params = {**params_of(server.add("/set.tar", DATA)), "md5": hashlib.md5(DATA).hexdigest()}
    job = write_job("fetch", params, "data/archives/set.json")
    assert run_step(job, "--keep-in-dvc").returncode == 2
    (tmp_path / ".dvc").mkdir()
    assert run_step(job, "--keep-in-dvc").returncode == 0
    md5 = params["md5"]
    assert (tmp_path / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").read_bytes() == DATA


def test_an_archive_that_changed_since_it_was_verified_is_not_unpacked(tmp_path, server, write_job, run_step):
    url = server.add("/set.tar", DATA)
    run_step(write_job("fetch", params_of(url), "data/archives/set.json"))
    (tmp_path / "data/archives/set.tar").write_bytes(tar_bytes({"other": b"x"}))
    job = write_job(
        "extract", {"archive": "set"}, "data/extracted/set.json", {"archive": "data/archives/set.json"}
    )
    done = run_step(job)
    assert done.returncode == 2 and "changed since it was verified" in done.stderr
    assert not (tmp_path / "data/extracted/set").exists()


def test_sbd_is_converted_while_it_is_unpacked(tmp_path, write_job, run_step):
    sets = Sets()
    archive = sets.pack(tmp_path / "benchmark.tgz")
    data = archive.read_bytes()
    params = {**params_of(archive.as_uri(), data=data), "name": "sbd", "file": "benchmark.tgz"}
    assert run_step(write_job("fetch", params, "data/archives/sbd.json")).returncode == 0
    inputs = {"archive": "data/archives/sbd.json"}
    parameters = {"archive": "sbd", "convert": "sbd_to_png"}
    done = run_step(write_job("extract", parameters, "data/extracted/sbd.json", inputs))
    assert done.returncode == 0, done.stderr
    written = record(tmp_path, "data/extracted/sbd.json")
    assert written["masks"] == 16 and written["complete"] is False
    assert "scipy" in written["environment"]["packages"]
    with Image.open(tmp_path / written["root"] / "SegmentationClassAug" / f"{sets.names[0]}.png") as image:
        np.testing.assert_array_equal(np.asarray(image), sets.masks[sets.names[0]])


def test_another_version_of_a_conversion_converts_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sbd.tgz").write_bytes(b"archive")
    sha256 = hashlib.sha256(b"archive").hexdigest()
    Path("record.json").write_text(json.dumps({"path": "sbd.tgz", "sha256": sha256}))
    converted = []

    def convert(archive: Path, folder: Path) -> dict[str, int]:
        converted.append(archive)
        (folder / "mask.png").write_bytes(b"mask")
        return {"masks": 1}

    monkeypatch.setattr("pipeline_src.data.sbd.convert_sbd", convert)
    job = Job(
        "extract", "sbd", "demo", {"archive": "sbd", "convert": "sbd_to_png"}, {"archive": "record.json"},
        {"sidecar": "extracted/sbd.json"}, {"digest": "first"}, "d",
    )  # fmt: skip
    for _ in range(2):
        extract_archive(job)
    assert len(converted) == 1
    extract_archive(replace(job, code={"digest": "second"}))
    assert len(converted) == 2


def test_an_unknown_conversion_is_named(tmp_path, server: Server, write_job, run_step):
    run_step(write_job("fetch", params_of(server.add("/set.tar", DATA)), "data/archives/set.json"))
    inputs = {"archive": "data/archives/set.json"}
    done = run_step(
        write_job("extract", {"archive": "set", "convert": "x"}, "data/extracted/set.json", inputs)
    )
    assert done.returncode == 2 and "convert is 'x'; known: sbd_to_png" in done.stderr


def tag_params(url: str) -> dict[str, object]:
    return {"model": "net.tag", "file": "net.tag.safetensors", "urls": [url]}


def test_weights_are_accepted_once_and_verified_ever_after(tmp_path, server: Server, write_job, run_step):
    job = write_job("weights", tag_params(server.add("/net", WEIGHTS)), "data/weights/net.tag.json")
    refused = run_step(job)
    assert refused.returncode == 2 and "--config accept_unverified=true" in refused.stderr
    accepted = run_step(job, "--accept-unverified")
    assert accepted.returncode == 0, accepted.stderr
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    row = read_accepted(tmp_path / "data/weights/accepted.csv")["net.tag"]
    assert (row.file, row.bytes, row.sha256) == ("net.tag.safetensors", len(WEIGHTS), sha256)
    first = record(tmp_path, "data/weights/net.tag.json")
    assert first["content"] == sha256 and first["path"] == "data/weights/net.tag.safetensors"
    assert first["verified"] == []

    # a colleague who has the committed row, and a server that has other weights by now
    (tmp_path / "data/weights/net.tag.safetensors").unlink()
    server.add("/net", save({"w": np.zeros(12, np.float32)}))
    done = run_step(job, "--accept-unverified")
    assert done.returncode == 2 and re.search(f"expected {sha256}|{len(WEIGHTS)} are expected", done.stderr)
    (tmp_path / "mirror/net.tag").mkdir(parents=True)
    (tmp_path / "mirror/net.tag/net.tag.safetensors").write_bytes(WEIGHTS)
    assert run_step(job, "--mirror", "mirror").returncode == 0
    assert record(tmp_path, "data/weights/net.tag.json")["verified"] == ["bytes", "sha256"]


def test_accept_unverified_may_stand_in_the_parameters(tmp_path, server: Server, write_job, run_step):
    params = {**tag_params(server.add("/net", WEIGHTS)), "accept_unverified": True}
    assert run_step(write_job("weights", params, "data/weights/net.tag.json")).returncode == 0


def test_a_page_instead_of_weights_is_never_accepted(tmp_path, server: Server, write_job, run_step):
    job = write_job(
        "weights", tag_params(server.add("/net", b"<html>sign in</html>")), "data/weights/net.tag.json"
    )
    done = run_step(job, "--accept-unverified")
    assert done.returncode == 2 and "not a safetensors file" in done.stderr
    assert read_accepted(tmp_path / "data/weights/accepted.csv") == {}
    assert not list((tmp_path / "data/weights").glob("net*"))


def test_a_users_own_weights_are_verified_in_place(tmp_path, write_job, run_step):
    own = tmp_path / "mine" / "net.safetensors"
    own.parent.mkdir()
    own.write_bytes(WEIGHTS)
    own.chmod(0o444)
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    params = {"file": str(own), "sha256": sha256, "source": "trained here"}
    assert run_step(write_job("weights", params, "data/weights/mine.json")).returncode == 0
    written = record(tmp_path, "data/weights/mine.json")
    assert (written["content"], written["path"], written["source"]) == (sha256, str(own), "trained here")
    assert list(own.parent.iterdir()) == [own]
    assert [path.name for path in (tmp_path / "data/weights").iterdir()] == ["mine.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, f"sha256: expected {'0' * 64}, got {hashlib.sha256(WEIGHTS).hexdigest()}"),
        (
            {"sha256": None},
            f"sha256 must be given, 64 hex digits; this file has {hashlib.sha256(WEIGHTS).hexdigest()}",
        ),
        ({"file": "nowhere.safetensors"}, "nowhere.safetensors: no such file"),
        ({"file": None}, "parameter file is None"),
    ],
)
def test_wrong_own_weights_end_with_one_line(tmp_path, write_job, run_step, change, message):
    (tmp_path / "net.safetensors").write_bytes(WEIGHTS)
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    params = {"file": "net.safetensors", "sha256": sha256, "source": "", **change}
    done = run_step(write_job("weights", params, "data/weights/mine.json"))
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "data/weights/mine.json").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        WEIGHTS[:-1],
        WEIGHTS + b"\0",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 1 << 60) + b"{}",
    ],
)
def test_a_cut_off_or_foreign_file_is_no_safetensors(tmp_path: Path, data: bytes):
    path = tmp_path / "net.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError, match="safetensors file"):
        check_safetensors(path)


def test_real_weights_have_a_sound_header(real_data: Path):
    for path in (real_data / "weights").glob("*.safetensors"):
        check_safetensors(path)


def test_run_explains_itself(run_step):
    helped = run_step("--help")
    assert helped.returncode == 0 and "job file" in helped.stdout and "--mirror" in helped.stdout


@pytest.mark.parametrize("step", ["fetch", "extract", "weights"])
def test_steps_load_nothing_heavy(step: str):
    code = (
        f"import sys, pipeline_src.steps.{step}; "
        "print([m for m in ('torch', 'timm', 'numpy', 'pandas', 'scipy', 'dvc', 'pydantic', 'snakemake') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=step_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
