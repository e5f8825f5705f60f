"""One component of each kind, from a folder outside the package, together through Snakemake to table rows."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline_src.config.component_declarations import CONTRACTS
from tests.e2e.conftest import Clone, make_clone
from tests.e2e.test_real_layout import job_counts

IDEAS = Path(__file__).resolve().parents[1] / "outside"
OVERLAY = """
scale: own
select: [own_masks, own_boxes]
scales: {own: {scale_note: a test}}
compute: {threads: 1}
warm_start: true
cost: {batch: 2, crop: [64, 64], repeats: 1, warmup: 1, threads: 1}
components:
  backbone.regnet: "../my_ideas/regnet.py:RegNetPyramid"
  pyramid.above: "../my_ideas/above.py:Above"
  decoder.unet: "../my_ideas/unet.py:UNetHead"
  detector.weighted: "../my_ideas/weighted.py:WeightedRCNN"
  reader.pairs: "../my_ideas/pairs.py:PairsReader"
  merge.halves: "../my_ideas/halves.py:Halves"
  figure.bars: "../my_ideas/worst_class.py:Bars"
  metric.worst: "../my_ideas/worst_class.py:WORST"
backbones:
  own: {timm: regnetx_002, family: regnet, weights: none}
datasets:
  pairs:
    format: pairs
    source: {kind: folder, root: ../pairs}
    splits: {train: {folder: train}, val: {folder: val}}
    classes: [ground, thing]
  coco:
    source:
      kind: scenes
      seed: 2
      images: {train: 4, val: 2}
      size: {min: [64, 64], max: [80, 64]}
      classes: 2
      objects: [1, 2]
recipes:
  masks:
    optimizer: {kind: sgd, lr: 0.01}
    schedule: {kind: constant}
    iterations: 2
    batch: 2
    augment: {crop: [64, 64]}
  boxes:
    optimizer: {kind: sgd, lr: 0.01}
    schedule: {kind: constant}
    iterations: 2
    batch: 2
    augment: {scales: [[80, 64]]}
studies:
  own_masks:
    title: Masks
    dataset: pairs
    recipe: masks
    model:
      backbone: own
      pyramid: {kind: above, copies: true}
      decoder: {kind: unet}
    vary: {equalizer: {without: {model.equalizer: null}, with: {model.equalizer: {form: folded}}}}
    tables: [{number: 1, title: T, row: "{equalizer}", metrics: [miou, worst, flops, parameters]}]
    figures: [{kind: bars, subject: bars, title: F, score: worst}]
  own_boxes:
    title: Boxes
    dataset: coco
    recipe: boxes
    model:
      backbone: own
      detector:
        kind: weighted
        frozen_stages: null
        frozen_norm: false
        fpn_channels: 8
        roi: {channels: 8, samples: 32}
        proposals: {pre_nms_train: 100, post_nms_train: 50, pre_nms_test: 100, post_nms_test: 50}
      merge: {kind: halves, share: 0.25}
    vary: {model.detector.box_weight: [1.0, 3.0]}
    tables: [{number: 1, title: T, row: "weight {model.detector.box_weight}", metrics: [ap, ap50, flops]}]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Clone:
    """A clone beside which a user's ideas and pictures lie, in which both studies have run."""
    clone = make_clone(tmp_path_factory.mktemp("own") / "clone")
    shutil.copytree(IDEAS, clone.path("../my_ideas"), ignore=shutil.ignore_patterns("__pycache__"))
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        folder = clone.path(f"../pairs/{split}")
        folder.mkdir(parents=True)
        for number in range(4):
            mask = (rng.random((64, 72)) < 0.3).astype(np.uint8)
            Image.fromarray(mask).save(folder / f"{number}.png")
            Image.fromarray(np.stack([100 * mask + 50] * 3, -1)).save(folder / f"{number}.jpg")
    clone.path("own.yaml").write_text(OVERLAY)
    clone.run("snakemake", "--cores", "2", "--configfile", "own.yaml")
    return clone


def cells(clone: Clone, study: str) -> dict[tuple[str, str], float]:
    """Measured values by row and metric."""
    with open(clone.path("results/own/experiments.csv"), newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["study"] == study and line["value"]]
    return {(line["row"], line["metric"]): float(line["value"]) for line in lines}


def test_all_eight_kinds_reach_a_row_and_a_picture(own):
    kinds = {name.split(".")[0] for name in yaml.safe_load(OVERLAY)["components"]}
    assert kinds == set(CONTRACTS)
    masks, boxes = cells(own, "own_masks"), cells(own, "own_boxes")
    for row in ("without", "with"):
        assert 0 <= masks[row, "worst"] <= masks[row, "miou"] <= 100
    # folded equalizers cost nothing
    assert masks["without", "flops"] == masks["with", "flops"]
    assert {row for row, _ in boxes} == {"weight 1.0", "weight 3.0"}
    assert boxes["weight 1.0", "flops"] == boxes["weight 3.0", "flops"] > 0
    table = own.path("results/own/tables/own_masks_table1.md").read_text()
    assert "worst class" in table
    assert own.path("results/own/figures/own_masks_bars.png").stat().st_size > 1000


def test_the_users_own_concatenations_are_calibrated(own):
    (found,) = own.path("results/own").glob("**/statistics.json")
    text = found.read_text()
    assert "decoder.concats.2" in text and "pyramid.concats.2" in text


def test_nothing_is_left_to_do_and_a_change_reruns_its_runs_alone(own):
    command = ("snakemake", "-n", "--configfile", "own.yaml")
    assert job_counts(own.run(*command)) == {}
    own.edit("../my_ideas/weighted.py", 'options.pop("box_weight", 2.0)', 'options.pop("box_weight", 2.5)')
    counts = job_counts(own.run(*command))
    assert counts["train"] == counts["evaluate"] == 2
    assert "manifest" not in counts
    own.edit("../my_ideas/weighted.py", 'options.pop("box_weight", 2.5)', 'options.pop("box_weight", 2.0)')
    assert job_counts(own.run(*command)) == {}
    own.edit("../my_ideas/widths.py", "WIDTH = 8", "WIDTH = 16")
    counts = job_counts(own.run(*command))
    assert counts["train"] == 2 and counts["calibrate"] == 1
