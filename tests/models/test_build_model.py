"""A resolved model section becomes a segmentation model."""

import copy
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from pipeline_src.errors import InputError
from pipeline_src.models.build_segmentor import build_segmentor
from tests.models.miniatures import FAMILIES, MINIATURES

DFP = {
    "kind": "dfp",
    "depth": 2,
    "scales": [1.0, 0.75, 0.5],
    "split": "before_downsampling",
    "encoder": "per_branch",
}
FCN = {"kind": "fcn", "channels": 0, "num_convs": 0, "concat_input": False, "dropout": 0.0}
IPG = {"kind": "ipg", "fusion": "sum", "positions": [3], "stem_channels": 8}
HEAVY_FCN = {"kind": "fcn", "channels": 12, "num_convs": 2, "concat_input": True, "dropout": 0.1}


def resolved(
    family: str = "resnet", pyramid: dict | None = None, decoder: dict | None = None
) -> dict[str, Any]:
    _, name, args = MINIATURES[family]
    return {
        "num_classes": 21,
        "backbone": {
            "timm": name,
            "family": family.split("_")[0],
            "weights": "none",
            "args": args,
            "output_stride": 32,
            "out_norm": family in ("swin", "twins", "convnext"),
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "pyramid": pyramid,
        "decoder": decoder or FCN,
    }


@pytest.mark.parametrize(
    ("pyramid", "decoder"), [(None, FCN), (None, HEAVY_FCN), (DFP, HEAVY_FCN), (IPG, HEAVY_FCN)]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_combination_gives_logits_of_the_image_size(family: str, pyramid: dict, decoder: dict) -> None:
    section = resolved(family, pyramid, decoder)
    unchanged = copy.deepcopy(section)
    model = build_segmentor(section).train()
    logits = model(torch.randn(2, 3, 67, 90))
    assert logits.shape == (2, 21, 67, 90)
    logits.square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert section == unchanged


@torch.no_grad()
def test_logits_are_upsampled_bilinearly_with_half_pixel_centres() -> None:
    model = build_segmentor(resolved()).eval()
    images = torch.randn(1, 3, 70, 99)
    low = model.decoder(model.pyramid(images))
    assert low.shape[-2:] == (3, 4)
    expected = F.interpolate(low, size=(70, 99), mode="bilinear", align_corners=False)
    assert torch.equal(model(images), expected)


def test_the_callers_seed_decides_the_start() -> None:
    states = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        states.append(build_segmentor(resolved(pyramid=DFP)).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])


def test_weights_reach_the_backbone_of_a_wrapped_pyramid(tmp_path: Path) -> None:
    _, name, args = MINIATURES["resnet"]
    source = timm.create_model(name, **args)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    model = build_segmentor(resolved(pyramid=DFP), tmp_path / "w.safetensors")
    assert torch.equal(model.pyramid.backbone.net.layer4[0].conv2.weight, source.layer4[0].conv2.weight)


def test_an_impossible_combination_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="depth: 4: a stem that strides by 4 cannot be split"):
        build_segmentor(resolved("swin", {**DFP, "depth": 4}))


def test_a_model_can_be_built_on_the_meta_device() -> None:
    for family in MINIATURES:
        with torch.device("meta"):
            model = build_segmentor(resolved(family, DFP))
        assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}


@pytest.fixture
def one_process_group():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


DEEP_IPG = {**IPG, "positions": None, "levels": "stages", "stages": 6, "keep": True}


@pytest.mark.parametrize(
    ("pyramid", "decoder"),
    [(DFP, HEAVY_FCN), (IPG, HEAVY_FCN), (DEEP_IPG, {**HEAVY_FCN, "level": 7})],
    ids=["dfp", "ipg", "deep_ipg"],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_data_parallel_training_finds_every_parameter_in_use(
    family: str, pyramid: dict, decoder: dict, one_process_group: None
) -> None:
    model = build_segmentor(resolved(family, pyramid, decoder)).train()
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    # An unused parameter is reported when the second step begins.
    for _ in range(2):
        parallel(torch.randn(2, 3, 64, 64)).square().mean().backward()
