"""`init NAME`: looks at a user's data, says what is in it, and writes an overlay that is ready to run."""

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.path_lengths import bad_name
from pipeline_src.config.yaml_nodes import Place
from pipeline_src.config.yaml_text import parse, read_yaml
from pipeline_src.data.readers.coco import read_coco_json
from pipeline_src.data.readers.mask_folders import read_masks
from pipeline_src.data.readers.voc_detection import read_voc_xml
from pipeline_src.data.readers.yolo import read_yolo
from pipeline_src.data.records import SplitListing
from pipeline_src.errors import InputError
from pipeline_src.files import write_text
from pipeline_src.looking import boxes, masks
from pipeline_src.looking.findings import Findings, missing_classes
from pipeline_src.looking.folders import Layout, Splitting, coco_files, pairs_of_folders, write_made
from pipeline_src.looking.overlay import SMALL_BACKBONE, Choices, overlay_text
from pipeline_src.running.gpus import visible_gpus

MOST_PROBLEMS = 5


def add_init(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "init", help="look at your own data and write parameters that compare all ideas on it"
    )
    parser.add_argument("name", metavar="NAME", help="name of the data set, of its file and of its results")
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--masks", type=Path, metavar="DIR", help="index masks, beside --images")
    kinds.add_argument("--coco", type=Path, metavar="FILE", help="boxes in COCO's JSON format")
    kinds.add_argument("--voc", type=Path, metavar="DIR", help="XML files beside --images, or a VOC folder")
    kinds.add_argument("--yolo", type=Path, metavar="DIR", help="folder with images/, labels/ and data.yaml")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images")
    parser.add_argument("--val-images", type=Path, metavar="DIR", help="images for validation, if apart")
    parser.add_argument("--val-masks", type=Path, metavar="DIR", help="their masks")
    parser.add_argument(
        "--val-coco", type=Path, metavar="FILE", help="annotation file for validation, if apart"
    )
    parser.add_argument("--classes", default="", help="class names by mask id: a,b,c (default: class_0, ...)")
    parser.add_argument(
        "--ignore", type=int, default=255, metavar="ID", help="mask id of pixels that are not labelled (255)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images for validation")
    parser.add_argument(
        "--group-by",
        choices=("none", "folder", "prefix"),
        default="none",
        help="keep images together whose names begin alike, such as frames of a video: prefix",
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
    folder = out.with_name(f"{out.stem}_splits")
    if not options.force and (there := [path for path in (out, folder) if path.exists()]):
        raise InputError(f"{there[0]}: is there already; --force writes over it, --out writes elsewhere")
    try:
        lines, made = _written(options, name, out, Splitting(folder, options.seed, options.group_by))
    except InputError:
        if not options.force:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    print("\n".join(lines))
    splits = f", and the splits in {folder}/" if made else ""
    print(f"\nwrote {out}{splits} after {time.monotonic() - began:.1f} s; next:")
    for command, what in (
        (f"python -m pipeline_src price --configfile {out} --measure", "what it will cost"),
        (f"snakemake -n --configfile {out}", "what would run"),
        (f"snakemake --cores all --configfile {out}", f"run it; the answers: results/{name}/report.html"),
    ):
        print(f"  {command}  # {what}")
    return 0


def _written(
    options: argparse.Namespace, name: str, out: Path, splitting: Splitting
) -> tuple[list[str], bool]:
    """Write the overlay; returns what was seen, in lines, and whether splits were made."""
    entry, classes, found, layout, size = _LOOKS[_kind(options)](options, splitting)
    task = "segmentation" if options.masks else "detection"
    train = found.splits["train"].images
    gpu = bool(visible_gpus())
    weights = "none" if options.random_weights else None
    choices = Choices(name, task, entry, size, train, gpu, _backbone(options.backbone), weights)
    text = overlay_text(choices)
    load_params(overlays=[Layer(str(out), parse(text, Place(str(out))))])
    found.warnings += missing_classes(found.splits, classes, found.what)
    write_text(out, text)
    return found.lines(classes), bool(layout.made)


Looked = tuple[dict[str, Any], list[str], Findings, Layout, tuple[int, int]]
"""The `datasets` entry, class names as they are counted, findings, layout, median size of the images."""


def _look_at_masks(options: argparse.Namespace, splitting: Splitting) -> Looked:
    images = _needed(options.images, "--masks")
    val = (options.val_images, options.val_masks) if options.val_images and options.val_masks else None
    layout = pairs_of_folders(images, options.masks, ("images", "masks"), splitting, val)
    listed = _listed(layout, read_masks, [])
    samples = {
        name: masks.look_at_masks(layout.root, listing.records, name, masks.SECONDS / len(listed))
        for name, listing in listed.items()
    }
    given = [one.strip() for one in options.classes.split(",") if one.strip()]
    classes = masks.classes_of(samples, given, options.ignore)
    entry = _entry("masks", layout, classes) | {"ignore_index": options.ignore}
    found = masks.findings_of(samples, classes)
    found.warnings[:0] = _warned(listed)
    return entry, classes, found, layout, found.median_size


def _look_at_coco(options: argparse.Namespace, splitting: Splitting) -> Looked:
    classes = boxes.coco_categories(options.coco)
    layout = coco_files(options.coco, options.val_coco, options.images, splitting)
    return _boxes("coco_json", layout, classes, read_coco_json)


def _look_at_voc(options: argparse.Namespace, splitting: Splitting) -> Looked:
    folders = (options.voc, *sorted(options.voc.glob("VOCdevkit/VOC*")))
    inner = next((path for path in folders if (path / "Annotations").is_dir()), None)
    annotations = inner / "Annotations" if inner else options.voc
    images = options.images or (inner / "JPEGImages" if inner else None)
    if images is None:
        raise InputError(
            f"{options.voc}: has no JPEGImages and Annotations; give --images, the folder of images"
        )
    layout = pairs_of_folders(images, annotations, ("images", "annotations"), splitting)
    classes = boxes.xml_classes(layout.root, _records(_listed(layout, read_voc_xml, [])))
    return _boxes("voc_xml", layout, classes, read_voc_xml)


def _look_at_yolo(options: argparse.Namespace, splitting: Splitting) -> Looked:
    root, below = options.yolo, "train" if (options.yolo / "train/images").is_dir() else ""
    layout = pairs_of_folders(
        root / below / "images",
        root / below / "labels",
        ("images", "labels"),
        splitting,
        _yolo_val(root, below),
    )
    return _boxes("yolo", layout, boxes.yolo_classes(root), read_yolo)


def _yolo_val(root: Path, below: str) -> tuple[Path, Path] | None:
    """Roboflow's layout: `train/images`, `valid/images`; else the splits are found below `images`."""
    for name in ("valid", "val", "test"):
        if below and (root / name / "images").is_dir():
            return root / name / "images", root / name / "labels"
    return None


_LOOKS = {"masks": _look_at_masks, "coco": _look_at_coco, "voc": _look_at_voc, "yolo": _look_at_yolo}


def _kind(options: argparse.Namespace) -> str:
    return next(kind for kind in _LOOKS if getattr(options, kind) is not None)


def _boxes(format_name: str, layout: Layout, classes: list[str], read: Any) -> Looked:
    listed = _listed(layout, read, classes)
    found = boxes.look_at_boxes(layout.root, {name: one.records for name, one in listed.items()}, classes)
    found.warnings[:0] = _warned(listed)
    if not found.image_sizes:
        raise InputError(f"{layout.root}: no image could be opened; {(found.warnings or [''])[0]}")
    return _entry(format_name, layout, classes), classes, found, layout, found.median_size


def _listed(layout: Layout, read: Any, classes: Sequence[str]) -> dict[str, SplitListing[Any]]:
    """The records of every split; lists that have to be made are written before."""
    write_made(layout)
    return {
        name: read([layout.root], name, {**split, "classes": ["background", *classes]})
        for name, split in layout.splits.items()
    }


def _records(listed: dict[str, SplitListing[Any]]) -> list[Any]:
    return [record for listing in listed.values() for record in listing.records]


def _warned(listed: dict[str, SplitListing[Any]]) -> list[str]:
    """What readers found; a data set with problems is written all the same, and the manifest refuses it."""
    problems = [text for one in listed.values() for text in one.problems]
    more = [f"... and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
    return [*problems[:MOST_PROBLEMS], *more, *(text for one in listed.values() for text in one.warnings)]


def _entry(format_name: str, layout: Layout, classes: list[str]) -> dict[str, Any]:
    return {
        "format": format_name,
        "source": {"kind": "folder", "root": str(layout.root)},
        "splits": layout.splits,
        "classes": classes,
    }


def _needed(images: Path | None, beside: str) -> Path:
    if images is None:
        raise InputError(f"--images is missing: the folder of the images that {beside} belong to")
    return images


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
        raise InputError(f"--backbone {key!r} is none of params.yaml's; use {', '.join(known)}")
    return key
