"""The sidecar that ends a job: which field says what, and that it is read back as it was written."""

import hashlib
import json
import os
import random
import sys
import time
from datetime import datetime
from importlib import metadata
from pathlib import Path

import pytest

from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.provenance.environment import describe_environment
from pipeline_src.provenance.job import Job
from pipeline_src.provenance.sidecar import FileRecord, Sidecar

PARAMS = {"seed": 3, "model": {"levels": [2, None, 5], "pyramid": None}}
CODE = {"digest": "c" * 64, "modules": {"pipeline_src/a.py": {"digest": "m", "definitions": {}}}}


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def job() -> Job:
    """A job whose inputs and outputs are there, the sidecar and an optional picture excepted."""
    draw = random.Random(0)
    for name in ("a.csv", "b.csv", "model.bin", "log.csv"):
        Path(name).write_bytes(draw.randbytes(draw.randrange(1, 3000)))
    write_json("manifest.json", {"content": "what it says", "host": "any"})
    write_json("list.json", [1, 2])
    inputs = {"manifest": "manifest.json", "tables": ["a.csv", "b.csv"], "plain": "list.json", "none": []}
    outputs = {"sidecar": "out/job.json", "model": "model.bin", "log": "log.csv", "picture": "absent.png"}
    return Job(
        "train", "study/seed-3", "demo", PARAMS, inputs, outputs, CODE, "d" * 64,
        lineages={"manifest": "o1", "tables": ["o2", None]}, why="parameters changed: seed",
        started=time.time() - 125.5,
    )  # fmt: skip


def written(job: Job, *arguments: object, **facts: object) -> dict:
    job.write_sidecar(*arguments, **facts)
    return json.loads(Path("out/job.json").read_text())


def test_the_job_is_told_with_all_that_identifies_it_and_the_reason_to_run(job):
    assert written(job, "says")["job"] == {
        "step": "train", "name": "study/seed-3", "scale": "demo", "digest": "d" * 64, "params": PARAMS,
        "code": CODE, "why": "parameters changed: seed",
    }  # fmt: skip


def test_an_input_has_what_it_says_or_the_digest_of_its_bytes_and_the_identity_of_its_maker(job):
    assert written(job, "says")["inputs"] == {
        "manifest": {"path": "manifest.json", "content": "what it says", "lineage": "o1"},
        "tables": [
            {"path": "a.csv", "content": sha256("a.csv"), "lineage": "o2"},
            {"path": "b.csv", "content": sha256("b.csv"), "lineage": None},
        ],
        "plain": {"path": "list.json", "content": sha256("list.json"), "lineage": None},
        "none": [],
    }


def test_one_of_several_inputs_has_what_it_says_too(job):
    job.inputs["tables"] = ["a.csv", "manifest.json"]
    assert [one["content"] for one in written(job, "x")["inputs"]["tables"]] == [
        sha256("a.csv"),
        "what it says",
    ]


def test_origins_that_do_not_fit_the_inputs_are_a_bug(job):
    job.lineages["tables"] = ["o2"]
    with pytest.raises(ValueError, match="zip"):
        job.write_sidecar("x")


def test_outputs_that_are_there_have_size_and_digest_and_the_sidecar_is_none_of_them(job):
    for _ in range(2):  # the second time an old sidecar is there
        outputs = written(job, "x")["outputs"]
        assert outputs == {
            name: {"path": path, "bytes": os.path.getsize(path), "sha256": sha256(path)}
            for name, path in (("model", "model.bin"), ("log", "log.csv"))
        }


def test_a_folder_is_described_by_all_its_files(job):
    folder = Path("absent.png")
    (folder / "below").mkdir(parents=True)
    (folder / "a").write_text("12")
    (folder / "below/b").write_text("345")
    before = written(job, "x")["outputs"]["picture"]
    assert (before["path"], before["bytes"]) == ("absent.png", 5)
    (folder / ".snakemake_timestamp").touch()
    assert written(job, "x")["outputs"]["picture"] == before
    (folder / "below/b").rename(folder / "below/c")
    after = written(job, "x")["outputs"]["picture"]
    assert after["bytes"] == 5 and after["sha256"] != before["sha256"]


def test_times_are_those_of_the_job_in_utc(job):
    before = time.time()
    timing = written(job, "x")["timing"]
    started, finished = (datetime.fromisoformat(timing[key]) for key in ("started", "finished"))
    assert timing["started"].endswith("+00:00") and timing["finished"].endswith("+00:00")
    assert started.timestamp() == pytest.approx(job.started, abs=1)
    assert 125.5 <= timing["seconds"] <= 125.5 + time.time() - before + 0.002
    assert (finished - started).total_seconds() == pytest.approx(timing["seconds"], abs=1.1)


def test_a_time_is_in_utc_whatever_the_zone_of_the_machine(job, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        stated = written(job, "x")["timing"]["started"]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert datetime.fromisoformat(stated).timestamp() == pytest.approx(job.started, abs=1)
    assert stated.endswith("+00:00")


def test_facts_of_the_step_stand_beside_what_every_sidecar_has(job):
    found = written(job, "says", ("numpy",), "loss 0.4", scores={"miou": 0.5}, device="cpu")
    assert list(found)[:3] == ["content", "summary", "job"]
    assert (found["content"], found["summary"]) == ("says", "loss 0.4")
    assert (found["scores"], found["device"]) == ({"miou": 0.5}, "cpu")
    assert set(found) == {
        "content", "summary", "job", "scores", "device", "inputs", "outputs", "git", "environment", "timing",
    }  # fmt: skip
    assert found["git"] == {"commit": None, "dirty": None}
    assert written(job, "says")["summary"] is None


def test_a_sidecar_is_read_as_it_was_written(job):
    written(job, "says", ("numpy",), "loss 0.4", scores={"miou": 0.5}, resumed=[1, 2])
    read = Sidecar.load("out/job.json")
    assert read.facts == {"scores": {"miou": 0.5}, "resumed": [1, 2]}
    assert (read.job.params, read.job.why, read.summary) == (PARAMS, job.why, "loss 0.4")
    assert read.outputs["model"] == FileRecord.of("model.bin")
    assert [one.lineage for one in read.inputs["tables"]] == ["o2", None]
    text = Path("out/job.json").read_bytes()
    read.write("out/again.json")
    assert Path("out/again.json").read_bytes() == text


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"content": "x"}', '{"content": "x", "job": 3}', '{"job": {}}',
             '{"content": "x", "job": {}, "inputs": {"a": {"path": "b"}}}']
)  # fmt: skip
def test_what_is_no_sidecar_is_refused_in_one_line(text):
    Path("other.json").write_text(text)
    with pytest.raises(InputError, match=r"^other\.json: not the record of a job$"):
        Sidecar.load("other.json")


def test_the_environment_has_the_versions_of_what_is_installed_and_nothing_made_up():
    found = describe_environment(("numpy", "no-such-distribution", "pillow"))
    assert found["packages"] == {name: metadata.version(name) for name in ("numpy", "pillow")}
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cores"] == os.cpu_count() and set(found) == {
        "python", "platform", "machine", "cores", "packages",
    }  # fmt: skip


def test_every_word_of_a_job_but_its_reason_and_start_is_in_its_file_name(job):
    """A job file whose lineages, makers or paths were edited is not the one that was planned."""
    name = job.file_name
    changes = {
        "step": "probe", "scale": "paper", "params": {"seed": 4}, "inputs": {}, "outputs": {}, "digest": "e",
        "components": ("decoder.uper",), "lineages": {"manifest": "o9"}, "makers": {"manifest.json": "d"},
        "code": {"digest": "other"},
    }  # fmt: skip
    for field, value in changes.items():
        assert Job(**{**vars(job), field: value}).file_name != name, field
    assert Job(**{**vars(job), "why": "other", "started": 0.0}).file_name == name
