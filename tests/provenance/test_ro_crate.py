"""A crate names every job with what it read and wrote, and packs what it says that it packs."""

from pathlib import Path

import pytest

from pipeline_src.files import digest_file
from pipeline_src.provenance.job import Job
from pipeline_src.provenance.ro_crate import METADATA, Crate, Described
from pipeline_src.provenance.sidecar import Sidecar

ABOUT = Described("name", "what it is", "https://spdx.org/licenses/MIT", "2026-01-01T00:00:00+00:00")
CODE = {"digest": "c" * 64, "modules": {}}


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Two jobs of which the second reads what the first wrote, weights and a folder of pictures among it."""
    monkeypatch.chdir(tmp_path)
    for name in ("Snakefile", "params.yaml", "README.md"):
        Path(name).write_text(name)
    Path("results/shown/inner").mkdir(parents=True)
    for name in ("data.txt", "results/model.safetensors", "results/table.md", "results/shown/inner/a.png"):
        Path(name).write_text(name)
    train = Job(
        "train", "dfp/seed-0", "demo", {}, {"data": "data.txt"},
        {"sidecar": "results/train.json", "model": "results/model.safetensors", "shown": "results/shown"},
        CODE, "d" * 64,
    )  # fmt: skip
    train.write_sidecar("content-1", summary="loss 0.5")
    table = Job(
        "table", "dfp", "demo", {}, {"train": ["results/train.json"]},
        {"sidecar": "results/table.json", "md": "results/table.md"}, CODE, "e" * 64,
    )  # fmt: skip
    table.write_sidecar("content-2")
    return {job.outputs["sidecar"]: Sidecar.load(job.outputs["sidecar"]) for job in (train, table)}


def made(records, *kept):
    crate = Crate(ABOUT, frozenset([*records, *kept]))
    metadata = crate.metadata(records, ["README.md"], ["params.yaml"], "results/table.md")
    entities = {one["@id"]: one for one in metadata["@graph"]}
    assert len(entities) == len(metadata["@graph"]), "an entity stands there twice"
    return crate, entities


def references(value):
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_reference_leads_somewhere(records):
    _, entities = made(records, "results/table.md", "results/shown")
    for name in references(list(entities.values())):
        assert name in entities or name.startswith(("http://schema.org/", "https://"))


def test_jobs_say_what_they_read_and_wrote_and_when(records):
    _, entities = made(records, "results/table.md", "results/shown")
    train, table = entities["#train/dfp/seed-0"], entities["#table/dfp"]
    assert train["description"] == "loss 0.5" and train["instrument"] == {"@id": "#step-train"}
    assert train["object"] == [{"@id": "#data.txt"}]
    assert {"@id": "#results/model.safetensors"} in train["result"]
    assert {"@id": "results/shown/"} in train["result"] and {"@id": "results/train.json"} in train["result"]
    assert table["object"] == [{"@id": "results/train.json"}]
    assert table["result"] == [{"@id": "results/table.md"}, {"@id": "results/table.json"}]
    timing = records["results/train.json"].timing
    assert (train["startTime"], train["endTime"]) == (timing["started"], timing["finished"])
    run = entities["#run"]
    assert run["instrument"] == {"@id": "Snakefile"} and run["result"] == [{"@id": "results/table.md"}]
    assert entities["./"]["mentions"] == [
        {"@id": "#run"}, {"@id": "#train/dfp/seed-0"}, {"@id": "#table/dfp"}
    ]  # fmt: skip


def test_what_is_packed_is_there_and_what_is_not_has_its_digest(records):
    crate, entities = made(records, "results/table.md", "results/shown")
    for name, path in crate.files.items():
        assert entities[name]["contentSize"] == str(path.stat().st_size)
    assert "results/model.safetensors" not in crate.files and "data.txt" not in crate.files
    digest = digest_file("results/model.safetensors")
    assert entities["#results/model.safetensors"]["identifier"] == f"content sha256 {digest}"
    assert entities["results/table.md"]["sha256"] == digest_file("results/table.md")
    assert crate.folders == ["results/shown/"]
    assert entities["results/shown/"]["hasPart"] == [{"@id": "results/shown/inner/a.png"}]
    packed = {one["@id"] for one in entities["./"]["hasPart"]}
    assert packed == {*crate.files, *crate.folders} and METADATA not in packed


def test_weights_are_packed_where_they_are_kept(records):
    crate, entities = made(records, "results/model.safetensors")
    assert "results/model.safetensors" in crate.files
    assert {"@id": "results/model.safetensors"} in entities["#train/dfp/seed-0"]["result"]
