"""What a training step of our Faster or Mask R-CNN costs beside torchvision's, with a ResNet-50 and FPN.

`python -m benchmarks.detection_step [--masks] [--device cuda]`: forward pass, backward pass and SGD update on
the same batch with the same weights, with BN, stem and first stage frozen on both sides: the step's time,
measured, and the bytes saved for the backward pass, counted; on a GPU also the peak of allocated memory. The
two take turns and each keeps its fastest round. The losses are printed to show that it is the same work.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import FrozenBatchNorm2d

from benchmarks.timing import fastest
from pipeline_src.errors import run_command
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.models.detectors.faster_rcnn import FasterRCNNOptions
from pipeline_src.models.detectors.mask_rcnn import MaskRCNNOptions
from pipeline_src.options import to_json
from pipeline_src.profiling.saved_bytes import saved_bytes
from pipeline_src.tasks.instances.costs import ellipses
from pipeline_src.training.determinism import describe_device

CLASSES = 91
LIMIT = 1.05
BOXES = 8
"""Objects per image, about COCO's mean."""

Batch = tuple[list[Tensor], list[dict[str, Tensor]]]


def ours(masks: bool) -> nn.Module:
    """Our detector as a study's default builds it, on a plain ResNet-50."""
    kind, options = ("mask_rcnn", MaskRCNNOptions()) if masks else ("faster_rcnn", FasterRCNNOptions())
    return build_detector(
        {
            "num_classes": CLASSES,
            "backbone": {
                "timm": "resnet50.tv_in1k", "family": "resnet", "args": {},
                "output_stride": 32, "out_norm": False,
            },
            "pyramid": None,
            "detector": {"kind": kind, **to_json(options)},
        }
    )  # fmt: skip


def torchvisions(side: int, masks: bool) -> nn.Module:
    """What `fasterrcnn_resnet50_fpn` or `maskrcnn_resnet50_fpn` builds for pretrained weights, without them.

    Images of that smaller side, normalised already, go through its transform unchanged.
    """
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    for part in (body.conv1, body.layer1):
        part.requires_grad_(False)
    levels = {f"layer{stage}": str(stage - 1) for stage in (1, 2, 3, 4)}
    backbone = BackboneWithFPN(body, levels, [256, 512, 1024, 2048], 256)
    build = MaskRCNN if masks else FasterRCNN
    model = build(
        backbone, CLASSES, min_size=side, max_size=100 * side, image_mean=[0.0] * 3, image_std=[1.0] * 3
    )
    # in training it would draw a size, and the samplers would then draw other boxes
    model.transform._skip_resize = True
    return model


def make_batch(options: argparse.Namespace) -> Batch:
    """Random images `(3, height, width)` and boxes of all sizes on them."""
    generator = torch.Generator().manual_seed(0)
    height, width = options.size
    images, targets = [], []
    for _ in range(options.batch):
        images.append(torch.randn(3, height, width, generator=generator).to(options.device))
        corners = torch.rand(BOXES, 2, 2, generator=generator).sort(dim=1).values
        boxes = corners * torch.tensor([width - 9.0, height - 9.0]) + torch.tensor([[0.0], [8.0]])
        labels = torch.randint(1, CLASSES, (BOXES,), generator=generator)
        target = {"boxes": boxes.reshape(-1, 4).to(options.device), "labels": labels.to(options.device)}
        if options.masks:
            target["masks"] = ellipses(target["boxes"], (height, width))
        targets.append(target)
    return images, targets


def losses(model: nn.Module, batch: Batch) -> Tensor:
    """The sum of all losses; the samplers' random numbers are the same in every call."""
    torch.manual_seed(0)
    return torch.stack(list(model(*batch).values())).sum()


def training_step(model: nn.Module, batch: Batch) -> Callable[[], Any]:
    """One step as a callable; a tiny learning rate, so that proposals and their number stay the same."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=1e-12, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        losses(model, batch).backward()
        optimizer.step()

    return step


def peak_bytes(step: Callable[[], Any], device: torch.device) -> int | None:
    """Peak allocated memory of a step on a GPU, without what was there before; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection_step", description=__doc__)
    parser.add_argument("--masks", action="store_true", help="Mask R-CNN in place of Faster R-CNN")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=6, help="rounds over both; the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    torch.manual_seed(0)
    peer, own = torchvisions(min(options.size), options.masks), ours(options.masks)
    own.load_state_dict(
        {name.replace("backbone.body.", "backbone.pyramid.net."): x for name, x in peer.state_dict().items()}
    )
    batch = make_batch(options)
    models = {"torchvision": peer.to(device).train(), "ours": own.to(device).train()}
    steps = {name: training_step(model, batch) for name, model in models.items()}
    saved = {name: saved_bytes(partial(losses, model, batch), model) for name, model in models.items()}
    found = {name: losses(model, batch).item() for name, model in models.items()}
    seconds = fastest(steps, device, options.rounds)
    peaks = {name: peak_bytes(step, device) for name, step in steps.items()}

    height, width = options.size
    print(f"torch {torch.__version__}, {describe_device(device)}, {options.threads} threads")
    network = "Mask" if options.masks else "Faster"
    print(f"{network} R-CNN R50-FPN, {CLASSES} classes, batch {options.batch}, {height}x{width}")
    for name in models:
        line = (
            f"  {name:11} loss {found[name]:.6f}; step {seconds[name]:7.3f} s, "
            f"x{seconds[name] / seconds['torchvision']:.3f}; saved {saved[name] / 2**20:8.1f} MiB, "
            f"x{saved[name] / saved['torchvision']:.3f}"
        )
        peak, base = peaks[name], peaks["torchvision"]
        if peak is not None and base is not None:
            line += f"; peak {peak / 2**20:8.1f} MiB, x{peak / base:.3f}"
        print(line)
    print(f"  limit of ours: x{LIMIT} of torchvision's time and memory")


if __name__ == "__main__":
    run_command(main)
