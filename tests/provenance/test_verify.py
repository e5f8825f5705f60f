"""Digests of what is there against records, and scores against the counts that they follow from."""

import json
from pathlib import Path

import pytest

from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.files import digest_of
from pipeline_src.planning.freshness import READ_WHOLE
from pipeline_src.provenance.sidecar import JobRecord, Sidecar
from pipeline_src.provenance.verify import check_record
from pipeline_src.running.recompute import check_metrics


@pytest.fixture
def record(tmp_path, monkeypatch) -> Path:
    """The sidecar of a job with a large file, a small one and a folder of pictures, made from one input."""
    monkeypatch.chdir(tmp_path)
    Path("large").write_bytes(b"a" * (READ_WHOLE + 1))
    Path("small").write_text("small")
    Path("pictures/below").mkdir(parents=True)
    for name in ("a", "below/b"):
        Path("pictures", name).write_text(name)
    Path("read.json").write_text(json.dumps({"content": "what was read", "when": 1}))
    outputs = {"large": "large", "small": "small", "pictures": "pictures", "sidecar": "sidecar.json"}
    job = JobRecord("train", "x", "demo", "digest", {}, {})
    Sidecar.of(job, "content", {"data": "read.json"}, {}, outputs, (), 0.0).write("sidecar.json")
    return Path("sidecar.json")


def test_untouched_results_have_no_fault(record):
    found = check_record(record)
    assert found.faults == () and found.absent == 0
    assert found.files == 3 and found.bytes == READ_WHOLE + 1 + len("small") + len("abelow/b")


def flip(path: str) -> None:
    content = bytearray(Path(path).read_bytes())
    content[-1] ^= 1
    Path(path).write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda: flip("large"), "large: is not the file"),
        (lambda: flip("small"), "small: is not the file"),
        (lambda: flip("pictures/below/b"), "pictures: is not the file"),
        (lambda: Path("pictures/a").rename("pictures/c"), "pictures: is not the file"),
        (lambda: Path("pictures/new").touch(), "pictures: is not the file"),
        (lambda: Path("small").unlink(), "small: is missing"),
        (lambda: Path("read.json").write_text('{"content": "other"}'), "was made from another read.json"),
        (lambda: Path("read.json").write_text("{"), "its input cannot be read"),
        (lambda: flip("sidecar.json"), "not valid JSON"),
    ],
    ids=["large", "small", "picture", "renamed", "added", "missing", "input", "damaged input", "record"],
)
def test_each_damage_is_one_line_that_names_the_file(record, damage, named):
    damage()
    (fault,) = check_record(record).faults
    assert named in fault and "\n" not in fault


def test_an_input_that_was_never_brought_here_is_no_fault(record):
    Path("read.json").unlink()
    found = check_record(record)
    assert found.faults == () and found.absent == 1


def test_the_time_of_a_read_file_is_no_change(record):
    Path("read.json").write_text(json.dumps({"content": "what was read", "when": 2}))
    assert check_record(record).faults == ()


# --- scores ------------------------------------------------------------------------------------


@pytest.fixture
def metrics(tmp_path) -> Path:
    counts = [[5, 1, 0], [2, 7, 0], [0, 3, 0]]
    confusion = Confusion(3)
    confusion.counts += counts
    scores = confusion.scores()
    said = {
        **{key: value for key, value in scores.items() if key != "per_class_iou"},
        "per_class": dict(zip("abc", scores["per_class_iou"], strict=True)),
        "classes": ["a", "b", "c"],
        "confusion": counts,
    }
    return write(tmp_path / "metrics.json", said)


def write(path: Path, said: dict) -> Path:
    path.write_text(json.dumps({"content": digest_of(said), **said}))
    return path


def test_scores_that_follow_from_the_counts_are_right(metrics):
    assert check_metrics(str(metrics)) == []


@pytest.mark.parametrize("name", ["miou", "pixel_accuracy", "mean_accuracy", "per_class"])
def test_a_forged_score_is_named_although_its_digest_was_forged_as_well(metrics, name):
    said = json.loads(metrics.read_text())
    del said["content"]
    said[name] = {"a": 0.9, "b": 0.9, "c": 0.9} if name == "per_class" else 0.9
    (fault,) = check_metrics(str(write(metrics, said)))
    assert fault == f"{metrics}: {name} does not follow from its confusion matrix"


def test_a_digest_that_was_not_forged_is_named(metrics):
    said = json.loads(metrics.read_text())
    metrics.write_text(json.dumps({**said, "ignored_pixels": 1}))
    assert check_metrics(str(metrics)) == [f"{metrics}: its content is not what it says"]
