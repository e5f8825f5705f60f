"""Small networks with every concatenation of the project, as resolved model sections, and data for them."""

from typing import Any

import torch

from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.segmentor import SegmentationModel
from tests.models.miniatures import MINIATURES

DECODERS: dict[str, dict[str, Any]] = {
    "fcn": {"level": 5, "num_convs": 2, "channels": 6, "concat_input": True, "dropout": 0.1},
    "psp": {"channels": 6, "pool_scales": [1, 2, 3, 6], "dropout": 0.1},
    "aspp": {"channels": 6, "dilations": [1, 2, 3, 4], "dropout": 0.1},
    "sep_aspp": {"channels": 6, "dilations": [1, 2, 3, 4], "c1_channels": 4, "dropout": 0.1},
    "uper": {"channels": 6, "pool_scales": [1, 2, 3, 6], "dropout": 0.1},
}
ALL_OF = {
    "fcn": [["decoder.concat"]],
    "psp": [["decoder.ppm.concat"]],
    "aspp": [["decoder.aspp.concat"]],
    "sep_aspp": [["decoder.aspp.concat"], ["decoder.concat"]],
    "uper": [["decoder.ppm.concat"], ["decoder.concat"]],
}
DFP = {
    "kind": "dfp", "depth": 2, "scales": [1.0, 0.75, 0.5], "split": "before_downsampling",
    "encoder": "per_branch", "fusion": "concat",
}  # fmt: skip

IPG = {"kind": "ipg", "fusion": "concat", "positions": [2, 3, 4], "stem_channels": 8, "identity_start": False}


def section(
    decoder: str,
    form: str | None = None,
    order: list[list[str]] | None = None,
    *,
    pyramid: dict[str, Any] | None = None,
    family: str = "resnet",
    align_corners: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """A resolved model section on a miniature; `order` None: every concatenation of the decoder."""
    _, name, args = MINIATURES[family]
    equalizer = None
    if form is not None:
        equalizer = {"form": form, "concatenations": order or ALL_OF[decoder], "images": None}
    return {
        "task": "segmentation",
        "num_classes": 3,
        "backbone": {
            "timm": name, "family": family, "weights": "none", "args": args, "output_stride": 32,
            "out_norm": False, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        },
        "pyramid": pyramid,
        "decoder": {"kind": decoder, **DECODERS[decoder], "align_corners": align_corners, **options},
        "auxiliary": None,
        "equalizer": equalizer,
    }  # fmt: skip


def build(model: dict[str, Any], seed: int = 0) -> SegmentationModel:
    """The network of a section, initialised from a seed."""
    torch.manual_seed(seed)
    return build_segmentor(model)


def batches(count: int = 3, size: tuple[int, int] = (75, 90), seed: int = 5) -> list[torch.Tensor]:
    """Batches of four images."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(4, 3, *size, generator=generator) for _ in range(count)]
