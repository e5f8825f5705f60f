"""Small networks of every backbone family, with the stages and strides of the real ones."""

from typing import Any

import torch
from torch import nn

from pipeline_src.models.backbones.convnext import ConvNeXtPyramid
from pipeline_src.models.backbones.mobilenetv2 import MobileNetV2Pyramid
from pipeline_src.models.backbones.resnet import ResNetPyramid
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.backbones.swin import SwinPyramid
from pipeline_src.models.backbones.twins import TwinsPyramid

MINIATURES: dict[str, tuple[type[StagedBackbone], str, dict[str, Any]]] = {
    "resnet": (ResNetPyramid, "resnet50.tv_in1k", {"layers": [1, 2, 1, 1], "channels": [8, 12, 16, 20]}),
    "resnet_v1c": (ResNetPyramid, "resnet50c", {"layers": [1, 1, 2, 1], "channels": [8, 12, 16, 20]}),
    "resnet_basic": (ResNetPyramid, "resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 12, 16, 20]}),
    "convnext": (ConvNeXtPyramid, "convnext_tiny", {"depths": [1, 1, 2, 1], "dims": [8, 12, 16, 20]}),
    "swin": (
        SwinPyramid,
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 8, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8]},
    ),
    "twins": (
        TwinsPyramid,
        "twins_svt_small",
        {"embed_dims": [8, 12, 16, 20], "num_heads": [1, 2, 4, 5], "depths": [2, 2, 2, 2]},
    ),
    "mobilenetv2": (MobileNetV2Pyramid, "mobilenetv2_050", {}),
}
FAMILIES = ["resnet", "convnext", "swin", "twins", "mobilenetv2"]
"""One miniature of each."""

DILATABLE = ["resnet", "resnet_v1c", "resnet_basic", "convnext", "mobilenetv2"]
PATCHES = ["convnext", "swin", "twins"]


def miniature(family: str, seed: int = 0, **options: Any) -> StagedBackbone:
    """A small backbone of `family` in evaluation mode with random weights and BN statistics."""
    pyramid, name, args = MINIATURES[family]
    torch.manual_seed(seed)
    backbone = pyramid(name, args={**args, **options.pop("args", {})}, **options)
    return randomise(backbone).eval()


def randomise(module: nn.Module) -> nn.Module:
    """Random norms and statistics, so that nothing is hidden by an initial 0 or 1."""
    generator = torch.Generator().manual_seed(7)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            low = 0.5 if name.endswith(("weight", "running_var", "gamma")) else -0.3
            tensor.copy_(low + torch.rand(tensor.shape, generator=generator))
    return module


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Copy all parameters and buffers by position; shapes must agree one by one."""
    tensors = list(source.state_dict().values())
    targets = list(target.state_dict().values())
    assert [t.shape for t in tensors] == [t.shape for t in targets]
    for tensor, destination in zip(tensors, targets, strict=True):
        destination.copy_(tensor)
