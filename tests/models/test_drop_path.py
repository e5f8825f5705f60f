"""`drop_path_rate` of a backbone's arguments reaches every block of timm's network."""

import numpy as np
import pytest
import torch
from timm.layers import DropPath

from pipeline_src.models.build_segmentor import build_segmentor
from tests.models.test_build_model import FCN

NETWORKS = {
    "swin": ("swin_tiny_patch4_window7_224.ms_in1k", 12, 2),
    "twins": ("twins_svt_small.in1k", 18, 2),
    "convnext": ("convnext_tiny.fb_in1k", 18, 1),
}
"""timm name, blocks, residual branches in each."""


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("rate", [None, 0.3])
def test_drop_path_rises_linearly_to_its_rate(family, rate):
    name, blocks, branches = NETWORKS[family]
    section = {
        "num_classes": 5,
        "backbone": {
            "timm": name,
            "family": family,
            "weights": "none",
            "args": {} if rate is None else {"drop_path_rate": rate},
            "output_stride": 32,
            "out_norm": True,
        },
        "pyramid": None,
        "decoder": FCN,
    }
    with torch.device("meta"):
        model = build_segmentor(section)
    rates = [module.drop_prob for module in model.modules() if isinstance(module, DropPath)]
    if rate is None:
        assert not any(rates)
        return
    expected = np.repeat(np.linspace(0, rate, blocks), branches)
    # a block whose rate is 0 has an identity instead
    np.testing.assert_allclose([0.0] * (len(expected) - len(rates)) + rates, expected, atol=1e-6)
