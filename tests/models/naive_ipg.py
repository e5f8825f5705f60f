"""A naive Image Pyramid Guidance, of functions and a state dict, and small networks to compare with it."""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from pipeline_src.models.fusion.ipg import ImagePyramidGuidance
from tests.models.miniatures import miniature
from tests.models.test_dfp import timm_steps
from tests.models.test_ipg_fusion import by_hand

State = dict[str, Tensor]
DEEP = {"stages": 7, "levels": "stages", "positions": [1, 2, 3, 4, 5, 6, 7]}


def guided(family: str = "resnet", seed: int = 0, **options: Any) -> ImagePyramidGuidance:
    backbone = miniature(family, seed, **options.pop("backbone", {}))
    return ImagePyramidGuidance(backbone, stem_channels=8, **options).eval()


def normed(x: Tensor, state: State, name: str) -> Tensor:
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])


def naive_bottleneck(x: Tensor, state: State, name: str, stride: int = 1, dilation: int = 1) -> Tensor:
    inner = F.relu(normed(F.conv2d(x, state[f"{name}.conv1.weight"]), state, f"{name}.bn1"))
    weight = state[f"{name}.conv2.weight"]
    inner = F.conv2d(inner, weight, stride=stride, padding=dilation, dilation=dilation)
    inner = F.relu(normed(inner, state, f"{name}.bn2"))
    inner = normed(F.conv2d(inner, state[f"{name}.conv3.weight"]), state, f"{name}.bn3")
    if f"{name}.downsample.0.weight" in state:
        x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
        x = normed(x, state, f"{name}.downsample.1")
    return F.relu(inner + x)


def naive_transformation(image: Tensor, state: State, name: str) -> Tensor:
    x = F.conv2d(image, state[f"{name}.conv.weight"], stride=2, padding=3)
    x = F.relu(normed(x, state, f"{name}.norm"))
    return naive_bottleneck(F.max_pool2d(x, 2, ceil_mode=True), state, f"{name}.block")


def naive_ipg(model: ImagePyramidGuidance, fusion: str, images: Tensor, keep: bool) -> list[Tensor]:
    """Stages 1 to 7 of a ResNet-18; image i of the pyramid is for stage i + 1, image 3 for those kept."""
    state = model.state_dict()
    stem, pool, *layers = timm_steps(model.backbone)
    pyramid = [images]
    for _ in range(6):
        size = [math.ceil(side / 2) for side in pyramid[-1].shape[-2:]]
        pyramid.append(F.interpolate(pyramid[-1], size=size, mode="bilinear", align_corners=False))
    x = pool.double()(stem.double()(images))
    features = []
    for stage in range(1, 8):
        name = f"stage{stage}"
        if stage <= 4:
            x = layers[stage - 1].double()(x)
        else:
            stride, dilation = (1, 2) if keep else (2, 1)
            x = naive_bottleneck(x, state, f"extra_stages.{name}.0", stride, dilation)
            x = naive_bottleneck(x, state, f"extra_stages.{name}.1", 1, dilation)
        if stage in model.positions:
            image = pyramid[min(stage - 1, 3) if keep else stage - 1]
            feature = naive_transformation(image, state, f"transformations.{name}")
            x = by_hand(model.fusions[name], fusion, feature, x)
        features.append(x)
    return features
