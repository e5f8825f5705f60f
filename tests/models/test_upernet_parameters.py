"""Sizes of whole UPerNets equal those published by the backbones' own repositories."""

import pytest
import torch

from pipeline_src.models.build_segmentor import build_segmentor

UPER = {
    "kind": "uper",
    "pool_scales": [1, 2, 3, 6],
    "channels": 512,
    "dropout": 0.1,
    "align_corners": False,
}
AUXILIARY = {
    "kind": "fcn",
    "level": 4,
    "num_convs": 1,
    "channels": 256,
    "concat_input": False,
    "dropout": 0.1,
    "align_corners": False,
}
# (timm name, family, millions of parameters in the README of Swin, Twins and ConvNeXt)
PUBLISHED = [
    ("swin_tiny_patch4_window7_224.ms_in1k", "swin", 60),
    ("swin_small_patch4_window7_224.ms_in1k", "swin", 81),
    ("swin_base_patch4_window7_224.ms_in1k", "swin", 121),
    ("twins_svt_small.in1k", "twins", 54.4),
    ("twins_svt_base.in1k", "twins", 88.5),
    ("twins_svt_large.in1k", "twins", 133),
    ("convnext_tiny.fb_in1k", "convnext", 60),
    ("convnext_small.fb_in1k", "convnext", 82),
    ("convnext_base.fb_in1k", "convnext", 122),
]


@pytest.mark.parametrize(("name", "family", "published"), PUBLISHED)
def test_parameters_of_upernets_are_the_published_ones(name: str, family: str, published: float) -> None:
    section = {
        "num_classes": 150,
        "backbone": {"timm": name, "family": family, "args": {}, "output_stride": 32, "out_norm": True},
        "pyramid": None,
        "decoder": UPER,
        "auxiliary": AUXILIARY,
    }
    with torch.device("meta"):
        model = build_segmentor(section)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert millions == pytest.approx(published, rel=0.015)
