"""The way of real archives and of a user's folders through Snakemake, on small data."""

import hashlib
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import Clone, make_clone

ARCHIVE = "VOCtrainval_11-May-2012.tar"


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """A clone in which nothing has run, with one study, and with an address at which nobody answers."""
    clone = make_clone(tmp_path_factory.mktemp("layout") / "clone")
    clone.edit("params.yaml", "select: all", "select: [dfp]")
    table = clone.path("data/archives.csv")
    (row,) = (line for line in table.read_text().splitlines() if line.startswith("voc2012_trainval,"))
    addresses = [word for word in re.split(r"[, ]", row) if word.endswith(ARCHIVE)][1:]
    assert all(address.startswith("http") for address in addresses) and len(addresses) == 3
    clone.edit("data/archives.csv", addresses[0], f"http://127.0.0.1:9/{ARCHIVE}")
    clone.edit("data/archives.csv", " ".join(addresses[1:]), "")
    return clone


def job_counts(output: str) -> dict[str, int]:
    rows = re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule not in ("total", "all")}


# --- archives ----------------------------------------------------------------------------------


def test_without_network_or_mirror_the_fetch_says_what_would_help(clone):
    output = clone.run(
        "snakemake", "--cores", "1", "data", "--retries", "0", "--config", "scale=lite", status=1
    )
    assert ARCHIVE in output
    assert "mirror" in output
    assert not list(clone.path("data/extracted").glob("*")) if clone.path("data/extracted").exists() else True


def test_an_archive_comes_from_a_mirror_verified_and_extracted(clone, tmp_path):
    clone.run("snakemake", "--cores", "1", "data")
    scenes = Path(json.loads(next(clone.path("data/scenes").glob("*.json")).read_text())["root"])
    with tarfile.open(tmp_path / ARCHIVE, "w") as tar:
        tar.add(clone.root / scenes, arcname=".")
    content = (tmp_path / ARCHIVE).read_bytes()
    table = clone.path("data/archives.csv")
    lines = table.read_text().splitlines()
    row = next(
        number
        for number, line in enumerate(lines)
        if ARCHIVE in line and "6cd6e144f989b92b3379bac3b3de84fd" in line
    )

    # the real archive's checksums: a wrong file in the mirror is refused and nothing is extracted
    command = (
        "snakemake",
        "--cores",
        "1",
        "data",
        "--retries",
        "0",
        "--config",
        "scale=lite",
        f"mirror={tmp_path}",
    )
    output = clone.run(*command, status=1)
    assert "6cd6e144f989b92b3379bac3b3de84fd" in output or "1999639040" in output.replace(",", "")
    assert not clone.path("data/extracted/voc2012_trainval").exists()

    # this archive's checksums
    cells = lines[row].split(",")
    known = {
        "1999639040": str(len(content)),
        "6cd6e144f989b92b3379bac3b3de84fd": hashlib.md5(content).hexdigest(),
        "4e443f8a2eca6b1dac8a6c57641b67dd40621a49": hashlib.sha1(content).hexdigest(),
        "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb": hashlib.sha256(
            content
        ).hexdigest(),
    }
    lines[row] = ",".join(known.get(cell, cell) for cell in cells)
    table.write_text("\n".join(lines) + "\n")
    clone.run(*command)
    manifest = json.loads(clone.path("results/lite/data/voc2012/manifest.json").read_text())
    drawn = json.loads(clone.path("results/smoke/data/voc2012/manifest.json").read_text())
    assert manifest["root"].startswith("data/extracted/voc2012_trainval")
    assert manifest["content"] == drawn["content"]
    assert "Nothing to be done" in clone.run(*command)


# --- a user's folders --------------------------------------------------------------------------

OVERLAY = """
scale: mine
select: [mine]
warm_start: true
scales: {mine: {scale_note: a test}}
compute: {threads: 1}
cost: {crop: [32, 32], repeats: 1, warmup: 1, threads: 1}
evaluation: {overlays: 1}
backbones:
  tiny: {timm: resnet50.tv_in1k, weights: none, args: {layers: [1, 1, 1, 1], channels: [8, 8, 16, 16]}}
datasets:
  mine:
    format: masks
    source: {kind: folder, root: $MY_DATA}
    splits:
      train: {images: images, masks: masks, list: train.txt}
      val: {images: images, masks: masks, list: val.txt}
    classes: [ground, thing]
    ignore_index: 9
recipes:
  mine:
    optimizer: {kind: adamw, lr: 0.001}
    schedule: {kind: poly}
    iterations: 3
    batch: 2
    augment: {crop: [32, 32]}
studies:
  mine:
    title: Mine
    dataset: mine
    model: {backbone: tiny, pyramid: {kind: dfp, depth: 0}, decoder: {kind: fcn, num_convs: 1, channels: 8}}
    recipe: mine
    vary: {model.pyramid.depth: [0, 1]}
    baseline: {model.pyramid.depth: 0}
    tables: [{number: 1, title: T, row: "depth {model.pyramid.depth}", metrics: [miou, flops]}]
"""


@pytest.fixture(scope="module")
def mine(clone, tmp_path_factory):
    """A user's folder in which the study has run once; returns the command and the folder."""
    data = tmp_path_factory.mktemp("data")
    (data / "images").mkdir()
    (data / "masks").mkdir()
    rng = np.random.default_rng(0)
    names = [f"{number:03d}" for number in range(8)]
    for name in names:
        mask = np.zeros((40, 50), np.uint8)
        mask[10:30, 10 : rng.integers(20, 40)] = 1
        mask[:2] = 9
        image = rng.integers(0, 60, (40, 50, 3)).astype(np.uint8)
        image[mask == 1] += 150
        Image.fromarray(image).save(data / "images" / f"{name}.png")
        Image.fromarray(mask).save(data / "masks" / f"{name}.png")
    (data / "train.txt").write_text("\n".join(names[:6]) + "\n")
    (data / "val.txt").write_text("\n".join(names[6:]) + "\n")
    clone.path("mine.yaml").write_text(OVERLAY)

    def run(*arguments: str, status: int = 0) -> str:
        command = ("snakemake", *arguments, "--configfile", "mine.yaml")
        return clone.run(*command, status=status, MY_DATA=str(data))

    run("--cores", "2")
    return run, data


def test_a_users_folder_is_trained_on_and_reported(clone, mine):
    run, _ = mine
    table = clone.path("results/mine/tables/mine_table1.md").read_text()
    assert "depth 1" in table
    assert "paper" not in table.lower()
    assert clone.path("results/mine/report.html").is_file()
    assert "Nothing to be done" in run("--cores", "2")


def test_a_touched_mask_reruns_nothing(mine):
    run, data = mine
    (data / "masks/001.png").touch()
    assert job_counts(run("-n")) == {}


def test_a_changed_mask_is_named_and_its_runs_would_train_again(mine):
    run, data = mine
    before = (data / "masks/001.png").read_bytes()
    mask = np.array(Image.open(data / "masks/001.png"))
    mask[35:, :] = 1
    Image.fromarray(mask).save(data / "masks/001.png")
    output = run("-n")
    assert job_counts(output)["train"] == 2
    assert job_counts(output)["manifest"] == 1
    assert "masks/001.png" in output
    (data / "masks/001.png").write_bytes(before)
    assert job_counts(run("-n")) == {}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda data: (data / "masks/002.png").unlink(), "002"),
        (lambda data: (data / "images/003.png").write_bytes(b"no image"), "003"),
        (lambda data: Image.fromarray(np.full((40, 50), 7, np.uint8)).save(data / "masks/004.png"), "004"),
    ],
    ids=["deleted mask", "unreadable image", "id outside the classes"],
)
def test_a_broken_record_is_named_before_training(mine, damage, expected):
    run, data = mine
    kept = {path: path.read_bytes() for path in [*data.glob("images/*"), *data.glob("masks/*")]}
    damage(data)
    output = run("--cores", "2", status=1)  # what is wrong with data is not tried again
    errors = [line for line in output.splitlines() if line.strip().startswith("error: ")]
    assert len(errors) == 1
    assert expected in errors[0]
    assert "rule train" not in output.replace("Rule: train", "")
    for path, content in kept.items():
        path.write_bytes(content)


def test_a_missing_variable_is_one_line(clone, mine):
    output = clone.run("snakemake", "-n", "--configfile", "mine.yaml", status=2)
    assert "datasets.mine.source.root: '$MY_DATA' needs the environment variable MY_DATA" in output
