"""`export RUN`: a trained network as a file that needs nothing of this project, for torch or ONNX."""

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.planning.trained_run import find_trained, snakemake_arguments


def add_export(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    command = commands.add_parser(
        "export",
        parents=[shared],
        help="a trained segmentation network as a file of its own: torch.export's program, or ONNX",
    )
    command.add_argument("run_name", metavar="RUN", help="a run as `list` names it")
    command.add_argument("--format", choices=["torch", "onnx"], default="torch", help="default: torch (.pt2)")
    command.add_argument(
        "--out", metavar="FILE", help="the file (default: results/SCALE/exports/RUN.pt2 or .onnx)"
    )
    command.add_argument(
        "--size",
        nargs=2,
        type=int,
        metavar=("HEIGHT", "WIDTH"),
        help="for images of this size alone (default: for as many sizes as the network can)",
    )
    command.set_defaults(run=run_export)


def run_export(params: Params, options: argparse.Namespace) -> int:
    """Write the file, and what one has to know of it as JSON beside it.

    Raises `InputError` for a run that is unknown, not trained or of a task that is not exported, for packages
    that are missing, and for a network that cannot be exported.
    """
    size = (options.size[0], options.size[1]) if options.size else None
    if size is not None and min(size) < 1:
        raise InputError(f"--size {size[0]} {size[1]}: give a height and a width of at least 1 pixel")
    more = snakemake_arguments(params.scale, options.configfile, options.config)
    run = find_trained(params, options.run_name, more)
    # imported here: the other commands need no torch
    import torch

    from pipeline_src.exporting.export_run import export_run
    from pipeline_src.exporting.programs import FORMATS, require
    from pipeline_src.predicting.trained_model import open_trained

    require(options.format)
    suffix = FORMATS[options.format].suffix
    path = Path(options.out or f"results/{params.scale}/exports/{options.run_name}{suffix}")
    if path.suffix != suffix:
        raise InputError(f"--out {path}: a file of format {options.format} ends in {suffix}")
    model = open_trained(run, torch.device("cpu"))
    if model.prediction.not_exported:
        raise InputError(f"run {run.name}: {model.prediction.not_exported}")
    found = export_run(model, options.format, path, size)
    if options.json:
        print(json.dumps({"file": str(path), "facts": f"{path}.json", "sides": found.sizes.sides}, indent=1))
    else:
        print(
            f"{path} takes sides: {found.sizes.sides}; its logits differ by at most {found.difference:.1e} "
            f"from the run's; {path}.json says how to use it"
        )
    return 0
