"""Every switch that an assumption names is one: turned, it changes what the tables under it are made of."""

from functools import cache
from typing import Any

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.study import Params
from pipeline_src.reporting.reference import read_assumptions

STUDIES = {
    "dfp_table1": "dfp",
    "scale_eq_table1": "scale_eq_encoders",
    "scale_eq_table2": "scale_eq_decoders",
    "scale_eq_figure3": "scale_eq_encoders",
    "ipg_table1": "ipg_cascade",
    "ipg_table2": "ipg_fusion",
    "ipg_table3": "ipg_stages",
    "ipg_table4": "ipg_positions",
    "ipg_table5": "ipg_retinanet",
    "ipg_table6": "ipg_voc",
    "deepfuse_table1": "deepfuse",
    "deepfuse_table2": "deepfuse_semantic",
}
SLIDE = {"mode": "slide", "window": [512, 512], "stride": [341, 341]}
MODULE = {"model.equalizer": {"form": "module"}}
INSIDE = {"model.equalizer": {"form": "folded", "concatenations": ["decoder.ppm.concat"]}}

OTHER: dict[str, Any] = {
    "deepfuse-recipe": 60,
    "deepfuse-no-coco": {"study": "ipg_pretrain"},
    "deepfuse-sizes": [[2048, 1024]],
    "deepfuse-bn-batch": 4,
    "deepfuse-semantic": 40000,
    "dfp-lr": True,
    "dfp-warmup": {"iterations": 10, "ratio": 0.1},
    "dfp-momentum": 0.8,
    "dfp-loss": "sum",
    "dfp-train-set": "trainval",
    "dfp-val-for-test": "trainval",
    "dfp-weights": "none",
    "dfp-stride": 16,
    "dfp-scales": [1.0, 0.5],
    "dfp-fusion": "sum",
    "dfp-encoder-branches": "per_branch",
    "dfp-encoder-depth-0": False,
    "dfp-split": "after_downsampling",
    "dfp-bn": 5,
    "dfp-augmentation": {"ratio": [0.5, 2.0]},
    "dfp-drop-last": False,
    "dfp-head": 1,
    "dfp-align": True,
    "dfp-cost-size": [256, 256],
    "se-form": MODULE,
    "se-form-decoders": MODULE,
    "se-where": INSIDE,
    "se-uper-width": {"channels": 256, "pool_scales": [1, 2]},
    "se-heads": {"FCNHead": {"model.decoder": {"kind": "fcn", "channels": 256}}},
    "se-auxiliary": 128,
    "se-dropout": 0.0,
    "se-dropout-decoders": 0.0,
    "se-align": True,
    "se-align-decoders": True,
    "se-batch-uper": 8,
    "se-optimizer-uper": 1e-4,
    "se-betas": [0.9, 0.99],
    "se-warmup": 1000,
    "se-poly": 0.9,
    "se-min-lr": 1e-6,
    "se-optimizer-convnext": 2e-4,
    "se-no-decay": [],
    "se-no-decay-convnext": False,
    "se-crop-ade": [640, 640],
    "se-crop-ade-decoders": [640, 640],
    "se-voc": 80000,
    "se-loss": "labelled_pixels",
    "se-loss-decoders": "labelled_pixels",
    "se-batch-r101": 16,
    "se-optimizer-r101": 0.02,
    "se-poly-r101": 1.0,
    "se-min-lr-r101": 0.0,
    "se-crop-cityscapes": [769, 769],
    "se-stride": 16,
    "se-weights": "none",
    "se-weights-decoders": "resnet101.gluon_in1k",
    "se-twins-pos": ["norm"],
    "se-drop-path": 0.1,
    "se-out-norm": False,
    "se-inference": {"evaluations": {"windows_512": {"mode": "whole", "window": None, "stride": None}}},
    "se-inference-decoders": {"evaluations": {"own_size": SLIDE, "short_side_512": SLIDE}},
    "se-figure3": {
        "studies": {
            "scale_eq_encoders": {
                "figures": [
                    {
                        "kind": "upsampled_variance",
                        "subject": "figure3",
                        "title": "Figure 3",
                        "simulation": {"mean": 0.0, "ratios": [2], "variances": [0.1, 1.0]},
                    }
                ]
            }
        }
    },
    "ipg-stem": 32,
    "ipg-levels": "stages",
    "ipg-start": False,
    "ipg-extra-channels": 1024,
    "ipg-positions": [2, 3],
    "ipg-table5-levels": [6, 7, 8],
    "ipg-table5-anchors": 3.0,
    "ipg-table5-samples": 0.3,
    "ipg-table6-stages": 5,
    "ipg-voc-size": [[1000, 800]],
    "ipg-frozen": 0,
    "ipg-sgd": 0.8,
    "ipg-milestones": [8, 11],
    "ipg-batch": 16,
    "ipg-flip": 0.0,
    "ipg-aspect": False,
    "ipg-fpn": "none",
    "ipg-anchors": 4.0,
    "ipg-rpn-samples": 128,
    "ipg-proposals": 1000,
    "ipg-roi-samples": 128,
    "ipg-cascade": "logits",
    "ipg-schedule-table1": 24,
    "ipg-bn-batch": 4,
    "ipg-anchor-distances": "inferred",
    "ipg-weights": "resnet50.a1_in1k",
    "ipg-no-clip": 35.0,
}
"""Another value of every switch: of all its keys, of each by its last part, or a whole overlay."""


def switched_tree(switch: str, studies: list[str], value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value.keys() & {"evaluations", "studies"}:
        return value
    tree: dict[str, Any] = {}
    for key in switch.split():
        for study in studies if "{study}" in key else [""]:
            node = tree
            *parents, last = key.replace("{study}", study).split(".")
            for part in parents:
                node = node.setdefault(part, {})
            node[last] = value[last] if isinstance(value, dict) and last in value else value
    # a detector that reads the fifth stage as well, without which it would be refused
    if "pyramid.stages" in switch:
        for study in studies:
            tree["studies"][study]["model"]["detector"] = {"levels": [2, 3, 4, 5, 6]}
    # a head that still fits
    if switch.endswith("decoder.num_convs"):
        tree["studies"]["dfp"]["model"]["decoder"]["channels"] = 64
    return tree


def made_of(params: Params, study: str) -> list[Any]:
    """What the rows and figures of a study are made of."""
    found = expand(params)
    rows = [
        [vars(found.runs[run]) for run in row.runs]
        + [found.scorings[scoring].evaluation for scoring in row.scorings]
        for row in found.rows[study]
    ]
    data = params.datasets[params.studies[study].dataset]
    return [rows, data.model_dump(), params.cost.model_dump(), params.studies[study].figures]


@cache
def plain(study: str) -> list[Any]:
    return made_of(load_params(overlays=[Layer("my.yaml", {"select": [study]})], scale="paper"), study)


@pytest.mark.parametrize(
    "assumption",
    [row for row in read_assumptions("workflow/reference/assumptions.csv") if row["switch"]],
    ids=lambda row: row["id"],
)
def test_every_switch_changes_what_its_tables_are_made_of(assumption):
    studies = [STUDIES[table] for table in assumption["tables"]]
    tree = switched_tree(assumption["switch"], studies, OTHER[assumption["id"]])
    for study in studies:
        layers = [Layer("my.yaml", tree), Layer("one.yaml", {"select": [study]})]
        assert made_of(load_params(overlays=layers, scale="paper"), study) != plain(study), study


def test_every_table_that_assumptions_name_is_there():
    params = load_params(scale="paper")
    files = {params.table_name(key, table) for key, study in params.studies.items() for table in study.tables}
    files |= {f"{study.prefix}_{one.subject}" for study in params.studies.values() for one in study.figures}
    named = {
        table for row in read_assumptions("workflow/reference/assumptions.csv") for table in row["tables"]
    }
    assert named <= files and named == set(STUDIES)
