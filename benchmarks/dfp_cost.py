"""What each depth of a Deep Feature Pyramid costs, as ratios to depth 0, beside the paper's ratios.

`python -m benchmarks.dfp_cost [--crop 512 --batch 3 --backbone resnet50.tv_in1k --depths 5 4 3 2 1 0]`.
Parameters, FLOPs and saved bytes (alone, and with weights, gradients and momentum) are counted, the two
times are measured on this machine, or left out with `--counted-only`. Paper: Chen et al., Table 1
(ResNet-50, batch 3, crop 512x512, one GTX 1060).
"""

import argparse
import math
import sys
from typing import Any

import torch
from tqdm import tqdm

from pipeline_src.errors import InputError, run_command
from pipeline_src.files import write_json
from pipeline_src.models.backbones.table import lookup
from pipeline_src.planning.summary_inputs import PAPER_VALUES
from pipeline_src.profiling.cost_params import MeasureCost, MeasuredRecipe
from pipeline_src.reporting.reference import printed_in, read_paper_values
from pipeline_src.steps.cost import count_cost, time_cost
from pipeline_src.training.optimizer_options import Sgd

DEPTHS = (5, 4, 3, 2, 1, 0)
RECIPE = MeasuredRecipe(
    optimizer=Sgd(kind="sgd", lr=5e-4, weight_decay=5e-4), loss={"reduction": "labelled_pixels"}
)
MEASURES = {
    "parameters": ("parameters", 1e6, "M"),
    "flops": ("FLOPs/image", 1e9, "G"),
    "saved_bytes": ("saved bytes", 2**20, "MiB"),
    "step_bytes": ("with weights", 2**20, "MiB"),
    "peak_memory": ("peak memory", 2**20, "MiB"),
    "step_time": ("training step", 1, "s"),
    "latency": ("inference", 1, "s"),
}
"""Measure: heading, divisor and unit of its column."""


def cost_params(depth: int, options: argparse.Namespace) -> MeasureCost:
    """Parameters of the cost step for one depth."""
    facts = lookup(options.backbone)
    pyramid: dict[str, Any] | None = {
        "kind": "dfp",
        "depth": depth,
        "scales": options.scales,
        "split": options.split,
        "encoder": options.encoder,
    }
    if depth == 0 and not options.encoder_at_depth_0:
        pyramid = None
    return MeasureCost(
        model={
            "task": "segmentation",
            "num_classes": 21,
            "backbone": {
                "timm": options.backbone,
                "family": facts.family,
                "weights": "none",
                "args": {},
                "output_stride": 32,
                "out_norm": facts.out_norm,
                "mean": list(facts.mean),
                "std": list(facts.std),
            },
            "pyramid": pyramid,
            "decoder": {
                "kind": "fcn",
                "channels": 0,
                "num_convs": 0,
                "concat_input": False,
                "dropout": 0.0,
            },
        },
        crop=(options.crop, options.crop),
        batch=options.batch,
        recipe=RECIPE,
        threads=options.threads,
        repeats=options.repeats,
        warmup=1,
    )


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Counted and timed costs of every depth.

    The depths take turns, and each keeps its fastest round, so that other work on the machine does not
    fall on one depth alone.
    """
    params = {depth: cost_params(depth, options) for depth in options.depths}
    results = {depth: {"depth": depth, **count_cost(params[depth])} for depth in options.depths}
    for result in results.values():
        # a weight, its gradient and its momentum, in float32
        result["step_bytes"] = result["saved_bytes"] + 3 * 4 * result["parameters"]
    turns = [] if options.counted_only else [depth for _ in range(options.rounds) for depth in options.depths]
    for depth in tqdm(turns, desc="timing", disable=not sys.stderr.isatty()):
        timed, best = time_cost(params[depth]), results[depth]
        for key in ("latency", "step_time"):
            if timed[key] < best.get(key, math.inf):
                best[key], best[f"{key}_quartiles"] = timed[key], timed[f"{key}_quartiles"]
        best["peak_memory"], best["device"] = timed["peak_memory"], timed["device"]
    return list(results.values())


def print_table(results: list[dict[str, Any]]) -> None:
    """A line per depth: value and ratio to depth 0 of every measure, and the paper's two ratios."""
    values = printed_in(read_paper_values(PAPER_VALUES), "dfp_table1")
    paper = {(value.row, value.metric): value.value for value in values}
    base = next((result for result in results if result["depth"] == 0), None)
    measures = [key for key in MEASURES if results[0].get(key) is not None]
    headings = [f"{MEASURES[key][0]} [{MEASURES[key][2]}]" for key in measures]
    print(
        "depth  " + "  ".join(f"{heading:>24}" for heading in headings) + "   paper memory   paper test time"
    )
    for result in results:
        cells = []
        for key in measures:
            ratio = f"x{result[key] / base[key]:.2f}" if base else "-"
            cells.append(f"{result[key] / MEASURES[key][1]:>17.3f} {ratio:>6}")
        memory, seconds = (
            paper[f"depth {result['depth']}", metric] / paper["depth 0", metric]
            for metric in ("training_memory", "testing_time")
        )
        cells.append(f" {f'x{memory:.2f}':>13} {f'x{seconds:.2f}':>17}")
        print(f"{result['depth']:>5}  " + "  ".join(cells))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crop", type=int, default=512, help="side of the square crop in pixels")
    parser.add_argument("--batch", type=int, default=3, help="images of a training step and of an inference")
    parser.add_argument("--backbone", default="resnet50.tv_in1k", help="timm name with weight tag")
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 0.75, 0.5])
    parser.add_argument("--split", default="before_downsampling")
    parser.add_argument("--encoder", default="shared")
    parser.add_argument("--encoder-at-depth-0", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3, help="timed calls of a round; their median counts")
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all depths; the fastest counts")
    parser.add_argument("--counted-only", action="store_true", help="no times: takes seconds and no memory")
    parser.add_argument("--json", metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    if not set(options.depths) <= set(DEPTHS):
        raise InputError(f"--depths: {options.depths}; allowed: 5 4 3 2 1 0")

    results = measure(options)
    kind = "cuda" if torch.cuda.is_available() else f"cpu, {options.threads} threads"
    print(
        f"{options.backbone}, batch {options.batch}, {options.crop}x{options.crop}, split {options.split}, "
        f"encoder {options.encoder} ({'also' if options.encoder_at_depth_0 else 'not'} at depth 0), "
        f"torch {torch.__version__}, {kind}"
    )
    print_table(results)
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    run_command(main)
