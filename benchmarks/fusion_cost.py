"""What a way to fuse costs: time and memory of a training step beside the FLOPs that it adds.

`python -m benchmarks.fusion_cost [--idea deepfuse] [--device cuda]`, as `params.yaml` has the rows at scale
paper:

- `ipg`: image pyramid guidance in Faster R-CNN, the rows of IPG-Net's Tables 2 and 4;
- `deepfuse`: our reading of DeepFuse in Mask R-CNN's FPN, `deepfuse_semantic`: in UPerHead.

FLOPs are counted for one image of `--counted` (a detector's with 1,000 proposals), bytes saved for the
backward pass and times are of `--size`, all as ratios to the same network without the idea. Steps take turns
and each keeps its fastest round. The peer is the plain network; there is no limit.
"""

import argparse
from dataclasses import replace
from typing import Any

import torch

from benchmarks.timing import fastest
from pipeline_src.components import load
from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Architecture
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import run_command
from pipeline_src.options import from_json
from pipeline_src.profiling.training_step import training_step
from pipeline_src.tasks.task import Costs, task_of
from pipeline_src.training.determinism import describe_device
from pipeline_src.training.optimizer_options import Update

FOUR_STAGES = ("none", "stage 1", "stage 2", "stage 3", "stage 4", "stages 2+3+4")
IDEAS = {
    "ipg": ("Faster R-CNN R50-FPN", ["ipg_positions", "ipg_fusion"]),
    "deepfuse": ("Mask R-CNN R50-FPN", ["deepfuse"]),
    "deepfuse_semantic": ("UPerHead on ResNet-50", ["deepfuse_semantic"]),
}


def architectures(idea: str) -> dict[str, Architecture]:
    """The networks of an idea by name; the first is the plain one. IPG's last three have five stages."""
    _, studies = IDEAS[idea]
    params = load_params(overlays=[Layer("", {"select": studies})], scale="paper")
    found = expand(params)
    measured = {
        ("5 stages, " if study == "ipg_fusion" else "") + row.label: found.architectures[row.architecture]
        for study, rows in found.rows.items()
        for row in rows
        if row.architecture is not None
    }
    if idea != "ipg":
        return measured
    stages = [name for name in measured if name.startswith("5 stages")]
    return {name: measured[name] for name in (*FOUR_STAGES, *stages)}


def main() -> None:
    """Measure all networks and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fusion_cost", description=__doc__)
    parser.add_argument("--idea", choices=tuple(IDEAS), default="ipg")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--counted", type=int, nargs=2, default=(800, 1333), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all; the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, size = torch.device(options.device), (options.size[0], options.size[1])

    networks = architectures(options.idea)
    plain_name, *_ = networks
    costs: Costs = load(f"costs.{task_of(networks[plain_name].model)}")
    steps: dict[str, Any] = {}
    counted: dict[str, dict[str, float]] = {}
    for name, network in networks.items():
        described = costs.describe(network.model, (options.counted[0], options.counted[1]))
        counted[name] = {
            "parameters": described["parameters"] / 1e6,
            "flops": described["flops"] / 1e9,
            "saved": costs.saved_bytes(network.model, options.batch, size) / 2**20,
        }
        torch.manual_seed(0)
        module = costs.build(network.model).to(device)
        update = replace(from_json(Update, network.setting["recipe"], part=True), accumulate=1)
        made_up = costs.made_up_batch(options.batch, size, network.model["num_classes"], device)
        steps[name] = training_step(
            module, costs.objective(network.setting["recipe"].get("loss", {})), update, made_up
        )
    seconds = fastest(steps, device, options.rounds)

    print(f"torch {torch.__version__}, {describe_device(device)}, {options.threads} threads")
    print(
        f"{IDEAS[options.idea][0]}, FLOPs of one image of {options.counted[0]}x{options.counted[1]}; "
        f"steps of batch {options.batch}, {size[0]}x{size[1]}"
    )
    base, plain = counted[plain_name], seconds[plain_name]
    for name, values in counted.items():
        print(
            f"  {name:23} {values['parameters']:7.2f} M (x{values['parameters'] / base['parameters']:.2f}); "
            f"{values['flops']:7.1f} GFLOPs (x{values['flops'] / base['flops']:.2f}); "
            f"step {seconds[name]:7.3f} s (x{seconds[name] / plain:.2f}); "
            f"saved {values['saved']:8.1f} MiB (x{values['saved'] / base['saved']:.2f})"
        )


if __name__ == "__main__":
    run_command(main)
