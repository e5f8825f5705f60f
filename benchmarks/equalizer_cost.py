"""What the forms of a scale equalizer cost in training, as ratios to a network without.

`python -m benchmarks.equalizer_cost [--device cuda]`: training step time, measured, and bytes saved for
the backward pass, counted; of a UPerNet (ConvNeXt-T, 512 channels) and of its fusion block alone: four
branches of 512 channels, upsampling, concatenation, 3x3 convolution, BN, ReLU. The forms take turns and
each keeps its fastest round, so that other work on the machine does not fall on one form alone.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.networks import CLASSES, FUSION, LOSS, UPDATE, upernet
from benchmarks.timing import fastest
from pipeline_src.errors import run_command
from pipeline_src.models.blocks import ConvBNReLU
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.models.fusion.scale_equalizer import apply_scales, insert_equalizers
from pipeline_src.profiling.saved_bytes import saved_bytes
from pipeline_src.profiling.training_step import training_step
from pipeline_src.tasks.segmentation.costs import COSTS, training_saved_bytes
from pipeline_src.training.determinism import describe_device

FORMS = (None, "folded", "module", "up_bn")
SCALES = [(0.4, 0.58), (0.4, 0.5), (0.4, 0.45), (0.4, 0.4)]
"""Made up: their values do not change what they cost."""


class FusionBlock(nn.Module):
    """Units of four branches, the concatenation that an equalizer sits on, and the unit that reads it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(ConvBNReLU(channels, channels, 1) for _ in SCALES)
        self.concat = FusedConcat([channels] * len(SCALES))
        self.fusion = ConvBNReLU(self.concat.out_channels, channels, 3)
        self.concat.connect(
            [(self.fusion.convolution, 0)], [unit for unit in self.units if isinstance(unit, ConvBNReLU)]
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The fused map `(N, channels, H, W)` at the size of the first of the four `maps`."""
        return self.fusion(self.concat([unit(x) for unit, x in zip(self.units, maps, strict=True)]))


def fusion_block(form: str | None, channels: int) -> FusionBlock:
    """The block with equalizers of a form, or without."""
    block = FusionBlock(channels)
    if form is not None:
        insert_equalizers(block, form, ["concat"])
        apply_scales(block, form, {"concat": SCALES})
    return block


def block_step(form: str | None, options: argparse.Namespace) -> tuple[Callable[[], Any], int]:
    """A forward and backward pass of the block alone, and the bytes that it saves."""
    block = fusion_block(form, options.channels).to(options.device).train()
    maps = [
        torch.randn(options.batch, options.channels, side, side, device=options.device)
        for side in (options.side // 2**level for level in range(len(SCALES)))
    ]

    def step() -> None:
        block.zero_grad(set_to_none=True)
        block(maps).square().mean().backward()

    return step, saved_bytes(partial(block, maps), block)


def network_step(form: str | None, options: argparse.Namespace) -> tuple[Callable[[], Any], int]:
    """A training step of the whole network, and the bytes that it saves."""
    crop = (options.crop, options.crop)
    torch.manual_seed(0)
    model = build_segmentor(upernet(form))
    if form is not None:
        apply_scales(model, form, {FUSION: SCALES})
    batch = COSTS.made_up_batch(options.batch, crop, CLASSES, torch.device(options.device))
    step = training_step(model.to(options.device), COSTS.objective(LOSS), UPDATE, batch)
    return step, training_saved_bytes(lambda: build_segmentor(upernet(form)), options.batch, crop)


def compare(
    title: str, make: Callable[..., tuple[Callable[[], Any], int]], options: argparse.Namespace
) -> None:
    """Print a line per form: time and saved bytes, with their ratios to the plain one."""
    device = torch.device(options.device)
    made = {form: make(form, options) for form in FORMS}
    best = fastest({form: step for form, (step, _) in made.items()}, device, options.rounds)
    print(title)
    for form in FORMS:
        size = made[form][1]
        print(
            f"  {form or 'plain':7} step {best[form]:7.3f} s, x{best[form] / best[None]:.3f} of plain; "
            f"saved bytes {size / 2**20:7.1f} MiB, x{size / made[None][1]:.3f}"
        )


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equalizer_cost", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--crop", type=int, default=128, help="side of the network's images")
    parser.add_argument("--side", type=int, default=32, help="side of the block's largest map")
    parser.add_argument("--channels", type=int, default=512, help="of the block's branches")
    parser.add_argument("--rounds", type=int, default=6, help="rounds over all forms; the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = describe_device(torch.device(options.device))
    print(f"torch {torch.__version__}, {device}, {options.threads} threads, batch {options.batch}")
    compare(f"fusion of four branches of {options.channels} channels", block_step, options)
    compare(f"UPerNet, ConvNeXt-T, {options.crop}x{options.crop}", network_step, options)


if __name__ == "__main__":
    run_command(main)
