"""What Image Pyramid Guidance costs, against sums done by hand and torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.profiling.describe_segmentor import describe_segmentor
from pipeline_src.profiling.parameter_count import count_parameters
from pipeline_src.tasks.segmentation.costs import training_saved_bytes
from tests.profiling.sections import NAMES, section

IPG = {
    "kind": "ipg",
    "fusion": "sum",
    "positions": [3],
    "stages": 4,
    "identity_start": True,
    "stem_channels": 64,
}


def guided(family: str, **options) -> dict:
    return {**section(family, None), "pyramid": {**IPG, **options}}


@pytest.mark.parametrize("family", NAMES)
def test_totals_and_parts_equal_those_of_the_real_network(family: str) -> None:
    crop = (66, 97)
    for fusion in ("sum", "product", "concat"):
        params = guided(family, fusion=fusion, positions=[1, 2, 3, 4])
        described = describe_segmentor(params, crop)
        plain = describe_segmentor({**params, "pyramid": None}, crop)
        model = build_segmentor(params).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.randn(1, 3, *crop))
        assert described["flops"] == counter.get_total_flops()
        assert described["parameters"] == count_parameters(model)
        assert described["levels"] == plain["levels"] and described["channels"] == plain["channels"]
        # backbone and decoder cost what they cost without guidance
        assert described["parts"]["backbone"] == plain["parts"]["backbone"]
        assert described["parts"]["decoder"] == plain["parts"]["decoder"]
        added = (model.pyramid.transformations, model.pyramid.fusions)
        assert described["parts"]["pyramid"]["parameters"] == sum(count_parameters(part) for part in added)


@pytest.mark.parametrize("fusion", ["sum", "product", "concat"])
def test_flops_of_the_real_resnet50_are_those_of_the_formula(fusion: str) -> None:
    for stage, (height, width) in ((1, (200, 336)), (3, (50, 84)), (4, (25, 42))):
        params = guided("resnet", fusion=fusion, positions=[stage])
        params["backbone"]["args"] = {}
        part = describe_segmentor(params, (800, 1344))["parts"]["pyramid"]
        channels = 256 * 2 ** (stage - 1)
        inner = channels // 4
        # multiply-adds per pixel of the feature; the 7x7 convolution runs on four times the pixels
        transformation = 4 * 3 * 64 * 49 + 64 * inner + 9 * inner**2 + inner * channels + 64 * channels
        linear = {"sum": 3, "product": 2, "concat": 4}[fusion] * channels**2
        assert part["flops"] == 2 * height * width * (transformation + linear)


def test_an_extra_stage_counts_as_part_of_the_pyramid() -> None:
    params = guided("resnet", stages=5, positions=[])
    params["decoder"]["level"] = 6
    parts = describe_segmentor(params, (128, 160))["parts"]
    plain = describe_segmentor({**section("resnet", None)}, (128, 160))["parts"]
    assert parts["backbone"] == plain["backbone"]
    inner, width = 20, 80
    first, second = 2 * width * inner + width * width, 2 * inner * width
    weights = first + second + 2 * 9 * inner**2
    norms = 2 * (4 * inner + 3 * width)
    assert parts["pyramid"]["parameters"] == weights + norms
    # 2x3 pixels, and the first 1x1 convolution on the 4x5 before the stride
    pixels, before = 2 * 3, 4 * 5
    assert parts["pyramid"]["flops"] == 2 * (pixels * (weights - width * inner) + before * width * inner)


def test_guidance_keeps_more_for_backward_and_more_at_finer_stages() -> None:
    def saved(params: dict) -> int:
        return training_saved_bytes(lambda: build_segmentor(params), 2, (64, 96))

    plain = saved(section("resnet", None))
    at = [saved(guided("resnet", positions=[stage])) for stage in (1, 2, 3, 4)]
    assert at[0] > at[1] > at[2] > at[3] > plain
