"""The description of an architecture, made without memory, equals that of the real network."""

import pytest
import torch

from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.profiling.describe_segmentor import describe_segmentor
from pipeline_src.profiling.flops import count_flops
from pipeline_src.profiling.parameter_count import count_parameters
from tests.profiling.sections import NAMES, section, with_auxiliary


@pytest.mark.parametrize("depth", [None, 0, 2, 5])
@pytest.mark.parametrize("family", NAMES)
def test_totals_and_parts_equal_those_of_the_real_network(family: str, depth: int | None) -> None:
    crop = (66, 97)
    described = describe_segmentor(section(family, depth), crop)
    model = build_segmentor(section(family, depth))
    image = torch.randn(1, 3, *crop)
    parts = described["parts"]
    assert described["parameters"] == count_parameters(model)
    assert described["flops"] == count_flops(model, image)
    assert described["channels"] == model.pyramid.channels
    assert described["crop"] == [66, 97]
    for key in ("parameters", "flops"):
        assert sum(part[key] for part in parts.values()) == described[key]
    backbone = model.pyramid if depth is None else model.pyramid.backbone
    assert parts["backbone"]["parameters"] == count_parameters(backbone)
    assert parts["decoder"]["parameters"] == count_parameters(model.decoder)
    assert parts["decoder"]["flops"] == count_flops(model.decoder, model.pyramid.eval()(image))
    if depth is not None:
        encoders = model.pyramid.encoders
        assert parts["pyramid"]["parameters"] == count_parameters(encoders)
        assert parts["pyramid"]["flops"] > 0
    else:
        assert parts["backbone"]["flops"] == count_flops(backbone, image)
        assert parts["pyramid"] == {"parameters": 0, "flops": 0}


def test_depth_changes_flops_and_not_parameters() -> None:
    described = [describe_segmentor(section("resnet", depth), (128, 128)) for depth in range(6)]
    none, *others = (value["parameters"] for value in described)
    # the classifier of 5 classes alone is wider behind three branches of 40 channels
    assert set(others) == {none + 2 * 40 * 5}
    flops = [value["flops"] for value in described]
    assert flops == sorted(set(flops))


def test_the_real_resnet50_needs_no_memory() -> None:
    model = section("resnet", 5)
    model["backbone"]["args"] = {}
    described = describe_segmentor(model, (4096, 4096))
    assert described["parts"]["backbone"]["parameters"] == 23_508_032
    # A network that keeps the proportions does 64 times the work of 512 x 512, twice.
    assert described["flops"] == 64 * describe_segmentor(model, (512, 512))["flops"]


@pytest.mark.parametrize("depth", [None, 2])
def test_an_auxiliary_head_counts_among_parameters_and_not_among_flops(depth: int | None) -> None:
    params = with_auxiliary("resnet", depth)
    described = describe_segmentor(params, (66, 97))
    without = describe_segmentor({**params, "auxiliary": None}, (66, 97))
    assert without["parts"].keys() == {"backbone", "pyramid", "decoder"}
    model = build_segmentor(params)
    extra = count_parameters(model.auxiliary)
    assert described["parts"] == {**without["parts"], "auxiliary": {"parameters": extra, "flops": 0}}
    assert described["parameters"] == without["parameters"] + extra == count_parameters(model)
    assert described["flops"] == without["flops"] == count_flops(model, torch.randn(1, 3, 66, 97))
