"""All benchmarks, one after the other: `make bench`, or `make bench-gpu` for those that use a GPU.

Each prints ratios against a named peer on the same work in the same run; none of them is a test.
"""

import argparse
import subprocess
import sys

from pipeline_src.errors import run_command

ON_CPU = (
    ["demo"],
    ["planning"],
    ["planning", "--scale", "demo"],
    ["fingerprint"],
    ["dfp_cost"],
    ["calibration"],
    ["equalizer_cost"],
    ["detection_step"],
    ["detection_step", "--masks"],
    ["fusion_cost"],
    ["fusion_cost", "--idea", "deepfuse"],
    ["fusion_cost", "--idea", "deepfuse_semantic", "--counted", "512", "1024"],
    ["detection_evaluation"],
)
ON_GPU = (
    ["dfp_cost"],
    ["calibration", "--device", "cuda", "--crop", "512", "--batch", "4"],
    ["equalizer_cost", "--device", "cuda", "--crop", "512", "--side", "128", "--batch", "4"],
    ["detection_step", "--device", "cuda", "--size", "800", "1333", "--batch", "4"],
    ["detection_step", "--masks", "--device", "cuda", "--size", "800", "1333", "--batch", "4"],
    ["fusion_cost", "--device", "cuda", "--size", "800", "1333", "--batch", "4"],
    ["fusion_cost", "--idea", "deepfuse", "--device", "cuda", "--size", "800", "1333", "--batch", "2"],
)
"""What measures something else on a GPU; it uses the first one that is visible."""


def main() -> int:
    """Run them; the status is that of the worst."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    worst = 0
    for name, *arguments in ON_GPU if parser.parse_args().device == "cuda" else ON_CPU:
        print(f"== {' '.join([name, *arguments])}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments])
        worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    run_command(main)
