"""`predict RUN FOLDER`: what a trained run finds in images of the user's own, as its evaluation does it."""

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.planning.trained_run import find_trained, snakemake_arguments
from pipeline_src.predicting.images import images_below

FAILED_EXIT = 1
"""Exit status when some images could not be predicted."""


def add_predict(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    command = commands.add_parser(
        "predict",
        parents=[shared],
        help="what a trained run finds in a folder of images: masks, boxes or outlines, and pictures of them",
    )
    command.add_argument("run_name", metavar="RUN", help="a run as `list` names it")
    command.add_argument("folder", metavar="FOLDER", help="images, also those in folders below")
    command.add_argument(
        "--out", metavar="DIR", help="where the predictions go (default: results/SCALE/predictions/RUN)"
    )
    add_device(command)
    command.set_defaults(run=run_predict)


def add_device(command: argparse.ArgumentParser) -> None:
    """Add `--device`, as jobs take it."""
    command.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="what computes (default: auto, a GPU where there is one)",
    )


def run_predict(params: Params, options: argparse.Namespace) -> int:
    """Predict every image; the status is 1 when some could not be decoded, or were refused.

    Raises `InputError` for a folder without images and a run that is unknown or not trained.
    """
    out = Path(options.out or f"results/{params.scale}/predictions/{options.run_name}")
    if out.resolve() == Path(options.folder).resolve():
        raise InputError(f"--out {out}: is the folder of the images; predictions need one of their own")
    names = images_below(options.folder, but=out)
    more = snakemake_arguments(params.scale, options.configfile, options.config)
    run = find_trained(params, options.run_name, more)
    # imported here: the other commands need no torch
    from pipeline_src.evaluation.device import choose_device
    from pipeline_src.predicting.predict_folder import INDEX, predict_folder
    from pipeline_src.predicting.trained_model import open_trained
    from pipeline_src.training.determinism import configure

    device = choose_device(options.device)
    configure(threads=run.threads, deterministic=run.deterministic, device=device)
    done = predict_folder(open_trained(run, device), options.folder, names, out)
    if options.json:
        print(json.dumps({"out": str(out), "images": len(done.images), "failed": done.failed}, indent=1))
    else:
        print(f"{len(done.images)} of {len(names)} images are predicted in {out}; {INDEX} lists them")
    return FAILED_EXIT if done.failed else 0
