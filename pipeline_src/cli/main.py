"""The command line: options that every command shares, and one subcommand each."""

import argparse
from collections.abc import Sequence
from functools import partial

from pipeline_src.cli.accept import run_accept
from pipeline_src.cli.config_values import tree_of
from pipeline_src.cli.crate import run_export_crate
from pipeline_src.cli.describe import run_describe
from pipeline_src.cli.export import add_export
from pipeline_src.cli.init import add_init
from pipeline_src.cli.listing import run_list
from pipeline_src.cli.plan import run_plan
from pipeline_src.cli.predict import add_predict
from pipeline_src.cli.price import run_price
from pipeline_src.cli.submission import run_export_submission
from pipeline_src.cli.verify import run_verify
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.study import Params
from pipeline_src.config.yaml_text import read_yaml

EPILOG = """\
examples:
  python -m pipeline_src list --scale paper
  python -m pipeline_src describe dfp/depth-2/seed-0 --scale paper
  python -m pipeline_src plan --configfile examples/camvid.yaml
"""


def parser() -> argparse.ArgumentParser:
    """The argument parser of all commands."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--scale", help="demo, smoke, lite, paper or one of your own (default: params.yaml's)"
    )
    shared.add_argument(
        "--configfile", action="append", default=[], metavar="FILE", help="overlay on params.yaml; repeatable"
    )
    shared.add_argument(
        "--config", action="append", default=[], metavar="KEY=VALUE", help="one overlay value; repeatable"
    )
    shared.add_argument("--json", action="store_true", help="print JSON")
    top = argparse.ArgumentParser(
        prog="python -m pipeline_src",
        description="Look into the pipeline: what it trains, what a run is, what would run and why.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_init(commands)
    listing = commands.add_parser("list", parents=[shared], help="runs and the table rows that they serve")
    listing.set_defaults(run=run_list)
    describe = commands.add_parser(
        "describe",
        parents=[shared],
        help="one run: resolved model, data and recipe, parameters, FLOPs (needs no data, no weights)",
    )
    describe.add_argument("run_name", metavar="RUN", help="a run as `list` names it")
    describe.set_defaults(run=run_describe)
    plan = commands.add_parser(
        "plan", parents=[shared], help="what would run, what is cached, what would resume, and why"
    )
    plan.add_argument("--step", help="only jobs of this step, such as train")
    plan.set_defaults(run=run_plan)
    price = commands.add_parser(
        "price", parents=[shared], help="what the jobs to run will cost: device hours, bytes to fetch, memory"
    )
    price.add_argument("--all-scales", action="store_true", help="a line for each scale")
    price.add_argument(
        "--measure", action="store_true", help="time a few steps of networks that nothing is known of"
    )
    price.set_defaults(run=run_price)
    add_predict(commands, shared)
    add_export(commands, shared)
    taken = commands.add_parser(
        "accept",
        parents=[shared],
        help="take results over that other code made, after a change that computes the same",
    )
    taken.add_argument("--reason", help="why the code computes the same; without it results are listed only")
    taken.add_argument("--step", help="only results of this step, such as train")
    taken.set_defaults(run=run_accept)
    verify = commands.add_parser(
        "verify",
        parents=[shared],
        help="whether results are what their records say, and tables follow from them (needs no GPU)",
    )
    verify.add_argument(
        "--digests-only", action="store_true", help="compare files with their records; make nothing again"
    )
    verify.set_defaults(run=run_verify)
    crate = commands.add_parser(
        "export-crate",
        parents=[shared],
        help="results with all records as one archive, a Workflow Run RO-Crate, to publish or to keep",
    )
    crate.add_argument("--out", metavar="FILE", help="the archive (default: results/SCALE/crate.zip)")
    crate.add_argument("--with-weights", action="store_true", help="pack trained weights as well")
    crate.add_argument("--partial", action="store_true", help="export what is done, though jobs are to run")
    crate.set_defaults(run=run_export_crate)
    export = commands.add_parser(
        "export-submission",
        parents=[shared],
        help="a trained run's predictions of VOC2012, Cityscapes or COCO test, as the server takes them",
    )
    export.add_argument("run_name", metavar="RUN", help="a run as `list` names it")
    export.add_argument(
        "--root", help="folder that holds the data set's test images (default: fetch their archives)"
    )
    export.add_argument(
        "--list",
        help="VOC2012: list below ImageSets/Segmentation; Cityscapes: set below leftImg8bit (default: test); "
        "COCO: test-dev2017 (default), or test2017 for the challenge",
    )
    export.set_defaults(run=run_export_submission)
    # handled by `__main__`, which imports less for it
    commands.add_parser("run", help="do one job of the workflow, from its job file; `run --help` says how")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; raises `InputError` for bad parameters."""
    options = parser().parse_args(arguments)
    if hasattr(options, "run_alone"):  # it needs no parameters
        status: int = options.run_alone(options)
        return status
    options.load = partial(_params, options)
    result: int = options.run(_params(options), options)
    return result


def _params(options: argparse.Namespace, scale: str | None = None) -> Params:
    overlays = [Layer(path, read_yaml(path)) for path in options.configfile]
    overlays += [Layer("--config", tree_of(setting)) for setting in options.config]
    return load_params(overlays=overlays, scale=scale or options.scale)
