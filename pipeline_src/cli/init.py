"""`init NAME`: looks at a user's data, says what is in it, and writes an overlay that is ready to run."""

import argparse
import gc
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.path_lengths import bad_name
from pipeline_src.config.study import Params
from pipeline_src.config.yaml_nodes import Place
from pipeline_src.config.yaml_text import parse, read_yaml
from pipeline_src.data.accepted_checksums import weights_row
from pipeline_src.errors import InputError
from pipeline_src.files import write_text
from pipeline_src.looking.findings import missing_classes
from pipeline_src.looking.folders import Splitting
from pipeline_src.looking.kinds import Wanted, look
from pipeline_src.looking.mask_ids import given_ids, given_names
from pipeline_src.looking.overlay import SMALL_BACKBONE, Choices, overlay_text
from pipeline_src.running.gpus import visible_gpus

MADE = ("train.txt", "val.txt", "train.json", "val.json")
"""What may be written beside the overlay."""

_OF_KINDS = {
    "images": ("masks", "coco", "voc"),
    "val_images": ("masks",),
    "val_masks": ("masks",),
    "val_coco": ("coco",),
    "classes": ("masks",),
    "ignore": ("masks",),
}
"""The kinds of data that an option says something of."""


def add_init(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "init", help="look at your own data and write parameters that compare all ideas on it"
    )
    parser.add_argument("name", metavar="NAME", help="name of the data set, of its file and of its results")
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--masks", type=Path, metavar="DIR", help="index masks, beside --images")
    kinds.add_argument("--coco", type=Path, metavar="FILE", help="boxes in COCO's JSON format")
    kinds.add_argument(
        "--voc", type=Path, metavar="DIR", help="folder with images and XML files, or a VOC folder"
    )
    kinds.add_argument("--yolo", type=Path, metavar="DIR", help="folder with images/, labels/ and data.yaml")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images")
    parser.add_argument("--val-images", type=Path, metavar="DIR", help="images for validation, if apart")
    parser.add_argument("--val-masks", type=Path, metavar="DIR", help="their masks")
    parser.add_argument(
        "--val-coco", type=Path, metavar="FILE", help="annotation file for validation, if apart"
    )
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        help="class names by mask id: a,b,c or a file with one a line (default: class_0, ...)",
    )
    parser.add_argument(
        "--ignore",
        metavar="IDS",
        help="mask ids of pixels that are not labelled: 0 or 0,255 (default: 255, and what is named void)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images for validation")
    parser.add_argument(
        "--group-by",
        choices=("none", "folder", "prefix"),
        default="none",
        help="keep images of one folder, or of one prefix (before the last _ or -), in one split",
    )
    parser.add_argument("--backbone", help="a key of `backbones` in params.yaml (default: by the device)")
    parser.add_argument(
        "--random-weights", action="store_true", help="start from no pretrained weights (nothing is fetched)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="what is written (default: NAME.yaml)")
    parser.add_argument("--force", action="store_true", help="write over files that are there")
    parser.set_defaults(run_alone=run_init)


def run_init(options: argparse.Namespace) -> int:
    """Look, print, write; raises `InputError` with nothing written where the data cannot be used."""
    began = time.monotonic()
    name, out = _name(options.name), options.out or Path(f"{options.name}.yaml")
    wanted, backbone = _wanted(options), _backbone(options.backbone)
    folder = out.with_name(f"{out.stem}_splits")
    if not options.force and (there := [path for path in (out, folder) if path.exists()]):
        raise InputError(f"{there[0]}: is there already; --force writes over it, --out writes elsewhere")
    with _restored(folder), _without_collecting():
        looked = look(wanted, Splitting(folder, options.seed, options.group_by))
        choices = Choices(
            name=name,
            file=str(out),
            task=wanted.task,
            dataset=looked.entry,
            size=looked.found.median_size,
            train_images=looked.found.splits["train"].images,
            gpu=bool(visible_gpus()),
            backbone=backbone,
            weights="none" if options.random_weights else None,
        )
        text = overlay_text(choices)
        params = load_params(overlays=[Layer(str(out), parse(text, Place(str(out))))])
        write_text(out, text)
    looked.found.warnings += missing_classes(looked.found.splits, looked.classes, looked.found.what)
    print("\n".join([f"splits: {looked.layout.origin}", *looked.found.lines(looked.classes)]))
    print(f"\nwrote {out} after {time.monotonic() - began:.1f} s; next:")
    for command, what in _next(out, name, _unverified(params, choices.network)):
        print(f"  {command}  # {what}")
    return 0


def _next(out: Path, name: str, unverified: str | None) -> list[tuple[str, str]]:
    """The commands that come next, as a shell takes them, and what each does."""
    file = shlex.quote(str(out))
    run, why = (
        f"snakemake --cores all --configfile {file}",
        f"run it; the answers: results/{name}/report.html",
    )
    if unverified:
        run += " --config accept_unverified=true"
        why += f" (once with --config: nobody publishes a checksum of {unverified}, it is recorded)"
    return [
        (f"python -m pipeline_src price --configfile {file} --measure", "what it will cost"),
        (f"snakemake -n --configfile {file}", "what would run"),
        (run, why),
    ]


def _unverified(params: Params, network: str) -> str | None:
    """The weights that the run fetches and nobody knows a checksum of; None where there are none."""
    backbone = params.backbones[network]
    if backbone.weights != "pretrained" or weights_row(backbone.timm).checksums:
        return None
    return backbone.timm


@contextmanager
def _restored(folder: Path) -> Iterator[None]:
    """Where the block raises, the lists in a folder are what they were before."""
    before = (
        {path: path.read_bytes() for path in folder.glob("*") if path.name in MADE}
        if folder.is_dir()
        else None
    )
    try:
        yield
    except BaseException:
        if before is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            for path in (folder / name for name in MADE):
                path.write_bytes(before[path]) if path in before else path.unlink(missing_ok=True)
        raise


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Look for no garbage: of many thousand boxes none is, and looking takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _wanted(options: argparse.Namespace) -> Wanted:
    """What was said of the data; an `InputError` for an option that this kind of data does not have."""
    kinds = ("masks", "coco", "voc", "yolo")
    kind = next(kind for kind in kinds if getattr(options, kind) is not None)
    for option, of_kinds in _OF_KINDS.items():
        if getattr(options, option) is not None and kind not in of_kinds:
            flag, others = f"--{option.replace('_', '-')}", " or ".join(f"--{one}" for one in of_kinds)
            raise InputError(f"{flag} goes with {others}, not with --{kind}")
    if (options.val_images is None) != (options.val_masks is None):
        raise InputError("--val-images and --val-masks belong together; give both or none")
    places = {
        name: getattr(options, name) for name in (*kinds, "images", "val_images", "val_masks", "val_coco")
    }
    for place in places.values():
        if place is not None and "$" in str(place.resolve()):
            raise InputError(f"{place}: parameters take a $ in a path for a variable; rename the folder")
    return Wanted(**places, names=given_names(options.classes or ""), ignore=given_ids(options.ignore))


def _name(name: str) -> str:
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii() or bad_name(name):
        raise InputError(f"NAME {name!r}: use letters, digits, - and _")
    known = read_yaml("params.yaml")
    for section in ("scales", "datasets", "recipes"):
        if name in known[section]:
            raise InputError(f"NAME {name!r}: params.yaml has {section}.{name}; use another name")
    return name


def _backbone(key: str | None) -> str | None:
    known = read_yaml("params.yaml")["backbones"]
    if key is not None and key not in (*known, SMALL_BACKBONE):
        raise InputError(
            f"--backbone {key!r} is none of params.yaml's; use {', '.join([*known, SMALL_BACKBONE])}"
        )
    return key
