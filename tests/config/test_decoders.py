"""Sections of decoders and auxiliary heads: defaults, what is refused, and what a job gets."""

from typing import Any

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.models.build_segmentor import build_segmentor

HEAD = {"dropout": 0.1, "align_corners": False}
DEFAULTS: dict[str, dict[str, Any]] = {
    "fcn": {"num_convs": 2, "channels": 512, "concat_input": True, "level": 5, **HEAD},
    "psp": {"pool_scales": [1, 2, 3, 6], "channels": 512, **HEAD},
    "aspp": {"dilations": [1, 12, 24, 36], "channels": 512, **HEAD},
    "sep_aspp": {"dilations": [1, 12, 24, 36], "c1_channels": 48, "channels": 512, **HEAD},
    "uper": {"levels": [2, 3, 4, 5], "pool_scales": [1, 2, 3, 6], "channels": 512, **HEAD},
}
"""Options of MMSegmentation's heads on a ResNet-101-D8 and, for UPer, of its UPerNets."""


def resolved(model: dict[str, Any]) -> dict[str, Any]:
    """The model of a study's only run."""
    study = {
        "title": "one",
        "dataset": "voc2012",
        "recipe": "dfp",
        "model": {"backbone": "resnet50", **model},
    }
    tree = {"studies": {"one": study}, "select": ["one"], "seeds": 1}
    (run,) = expand(load_params(overlays=[Layer("my.yaml", tree)], scale="paper")).runs.values()
    return run.model


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_are_those_of_mmsegmentation_and_build(kind: str) -> None:
    model = resolved({"decoder": {"kind": kind}})
    assert model["decoder"] == {"kind": kind, **DEFAULTS[kind]}
    assert model["auxiliary"] is None
    model["backbone"]["args"] = {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}
    model["decoder"]["channels"] = 4
    assert build_segmentor(model).decoder.align_corners is False


def test_an_auxiliary_head_has_defaults_of_its_own() -> None:
    model = resolved({"decoder": {"kind": "uper"}, "auxiliary": {"kind": "fcn"}})
    assert model["auxiliary"] == {
        "kind": "fcn", "level": 4, "num_convs": 1, "channels": 256, "concat_input": False, **HEAD
    }  # fmt: skip
    assert model["decoder"]["kind"] == "uper"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            {"decoder": {"kind": "fpn"}},
            "decoder.kind: 'fpn' is not allowed; use fcn, psp, aspp, sep_aspp or uper",
        ),
        (
            {"decoder": {"kind": "psp", "pool_scales": []}},
            "decoder.pool_scales: [] is not allowed; use a list",
        ),
        ({"decoder": {"kind": "uper", "pool_scales": [0]}}, "decoder.pool_scales[0]: 0 is not allowed"),
        ({"decoder": {"kind": "aspp", "dilations": [-1]}}, "decoder.dilations[0]: -1 is not allowed"),
        ({"decoder": {"kind": "sep_aspp", "c1_channels": 0}}, "decoder.c1_channels: 0 is not allowed"),
        ({"decoder": {"kind": "psp", "dilations": [1]}}, "decoder.dilations: unknown key"),
        (
            {"decoder": {"kind": "fcn", "level": 9}},
            "decoder.level: 9 is not allowed; use an integer from 2 to 8",
        ),
        (
            {"decoder": {"kind": "fcn", "level": 6}},
            "decoder.level: 6 is not there; this network's levels are 2 to 5",
        ),
        (
            {"decoder": {"kind": "uper"}, "auxiliary": {"kind": "psp"}},
            "auxiliary.kind: 'psp' is not allowed; use fcn",
        ),
        (
            {"decoder": {"kind": "uper"}, "auxiliary": {"kind": "fcn", "num_convs": 0, "concat_input": True}},
            "auxiliary: concat_input needs num_convs above 0",
        ),
        (
            {"decoder": {"kind": "uper"}, "auxiliary": {"kind": "fcn", "level": 1}},
            "auxiliary.level: 1 is not allowed; use an integer from 2 to 8",
        ),
    ],
)
def test_wrong_sections_are_refused_by_their_key(model: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        resolved(model)
    assert f"my.yaml: studies.one.model.{expected}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_weight_of_the_auxiliary_loss_is_part_of_the_recipe() -> None:
    params = load_params(scale="paper")
    assert params.recipes["dfp"].loss.auxiliary_weight == 0.4
    wrong = {"recipes": {"dfp": {"loss": {"auxiliary_weight": -1.0}}}}
    with pytest.raises(InputError, match=r"loss\.auxiliary_weight: -1\.0 is not allowed"):
        load_params(overlays=[Layer("my.yaml", wrong)], scale="paper")
