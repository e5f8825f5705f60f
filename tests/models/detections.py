"""What the tests of the detectors share: images with boxes, small detectors, and how to run them."""

from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.models.detectors.options import ProposalOptions, RoiOptions
from tests.models.miniatures import miniature

FEW = ProposalOptions(pre_nms_train=60, post_nms_train=40, pre_nms_test=60, post_nms_test=30, samples=32)
SMALL = RoiOptions(size=3, channels=16, samples=24)

Targets = list[dict[str, Tensor]]


def images_and_targets(
    seed: int,
    sizes: tuple[tuple[int, int], ...] = ((96, 128), (96, 107)),
    boxes: int = 5,
    classes: int = 91,
) -> tuple[list[Tensor], Targets]:
    """Random normalised images `(3, *size)` and as many boxes on each, one of them large."""
    generator = torch.Generator().manual_seed(seed)
    images, targets = [], []
    for height, width in sizes:
        images.append(torch.randn(3, height, width, generator=generator))
        corners = torch.rand(boxes, 2, 2, generator=generator) * torch.tensor([width - 20.0, height - 20.0])
        corners = corners.sort(dim=1).values
        corners[:, 1] += 12.0
        labels = torch.randint(1, classes, (boxes,), generator=generator)
        targets.append({"boxes": corners.reshape(-1, 4), "labels": labels})
    return images, targets


def no_boxes() -> dict[str, Tensor]:
    """The target of an image without objects."""
    return {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}


def losses_of(model: nn.Module, images: list[Tensor], targets: Targets, seed: int) -> dict[str, Tensor]:
    """Losses in training mode, with the samplers' random numbers starting from `seed`."""
    model.train()
    torch.manual_seed(seed)
    return model(images, [dict(target) for target in targets])


@torch.no_grad()
def detections_of(model: nn.Module, images: list[Tensor]) -> list[dict[str, Tensor]]:
    return model.eval()(images)


def gradients_of(model: nn.Module, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def without_resize(model: nn.Module, side: int) -> nn.Module:
    """A torchvision detector that takes images of that smaller side as they are."""
    transform: Any = model.transform
    transform.min_size, transform.max_size = (side,), 10_000
    # in training it would draw a size, and so move the samplers' random numbers
    transform._skip_resize = True
    transform.image_mean, transform.image_std = [0.0] * 3, [1.0] * 3
    return model


def make(build: Any, seed: int = 0, **options: Any) -> nn.Module:
    """A small detector of 7 classes, with heads of random weights large enough to detect something."""
    torch.manual_seed(seed)
    model = build(miniature("resnet", seed), 7, fpn_channels=8, **options)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if not name.startswith("backbone.pyramid") and parameter.ndim > 1:
            parameter.data.normal_(std=parameter[0].numel() ** -0.5, generator=generator)
    return model
