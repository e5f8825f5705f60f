"""Exporting a trained run: for as many sizes as its network can, checked before the file is kept."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline_src.errors import InputError
from pipeline_src.exporting.programs import FORMATS, INPUT, OUTPUT, Format, Run
from pipeline_src.exporting.sizes import MOST, Sizes, attempts
from pipeline_src.files import atomic_path, digest_file, write_json
from pipeline_src.options import to_json
from pipeline_src.predicting.trained_model import TrainedModel
from pipeline_src.progress import say

TOLERANCE = 1e-4
"""How far logits may be from the network's own, as a share of the largest (or of 1)."""


class Differs(Exception):
    """A program that was written gives other logits than its network, or none."""


@dataclass(frozen=True)
class Exported:
    """For which images a file is, the smallest side that it was seen to do, and its largest difference."""

    sizes: Sizes
    smallest: int
    difference: float


def export_run(
    model: TrainedModel, name: str, path: str | Path, size: tuple[int, int] | None = None
) -> Exported:
    """Write the network of `model` in the format `name` to `path`, and beside it `<path>.json`.

    With `size` (height, width) for images of that size alone.
    Raises `InputError` where the network can be exported for no size at all. Nothing is kept of a program
    whose logits are not those of the network.
    """
    kind, path = FORMATS[name], Path(path)
    network = model.network.cpu().eval()
    reasons = []
    with atomic_path(path) as temporary:
        for sizes in attempts(size):
            try:
                found = _attempt(network, kind, sizes, temporary)
                break
            except OSError:  # of the disk
                raise
            # exporters raise whatever their passes do; each attempt is judged by what its file computes
            except Exception as error:
                reason = _first_line(error)
                reasons.append(f"{sizes.sides}: {reason}")
                say(f"{model.run.name}: sizes {sizes.sides}: not with this network ({reason})")
        else:
            raise InputError(f"{model.run.name}: cannot be exported as {name} ({'; '.join(reasons)})")
    write_json(f"{path}.json", {**_facts(model, name, found, kind), "sha256": digest_file(path)})
    return found


def _attempt(network: nn.Module, kind: Format, sizes: Sizes, path: Path) -> Exported:
    kind.write(network, sizes, path)
    run = kind.open(path)
    difference = max(_compare(network, run, shape) for shape in sizes.checked)
    smallest = min(sizes.example[2:])
    for side in reversed(sizes.sweep):
        try:
            difference = max(difference, _compare(network, run, (1, 3, side, side)))
        except Exception:  # of the network itself, or of a guard: it is too small
            break
        smallest = side
    return Exported(sizes, smallest, difference)


@torch.no_grad()
def _compare(network: nn.Module, run: Run, shape: tuple[int, ...]) -> float:
    """The largest difference for random images `(N, 3, H, W)`, relative to the largest logit or 1."""
    images = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    expected, found = network(images), run(images)
    if found.shape != expected.shape:
        raise Differs(f"logits are {tuple(found.shape)} for images {shape}, not {tuple(expected.shape)}")
    difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
    if not difference <= TOLERANCE:
        raise Differs(f"logits of images {shape} differ by {difference:.1e}")
    return difference


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:160]


def _facts(model: TrainedModel, name: str, found: Exported, kind: Format) -> dict[str, Any]:
    sizes = found.sizes
    number: int | str = "batch" if 0 in sizes.dynamic else sizes.example[0]
    sides: list[Any] = list(sizes.example[2:]) if sizes.fixed else ["height", "width"]
    return {
        "run": model.run.name,
        "scale": model.run.scale,
        "task": model.task,
        "format": name,
        "classes": list(model.classes),
        "input": {
            "name": INPUT, "shape": [number, 3, *sides], "type": "float32",
            "colour": "RGB", "mean": model.mean, "std": model.std,
            "normalise": "(image / 255 - mean) / std, by channel",
        },
        "output": {
            "name": OUTPUT, "shape": [number, len(model.classes), *sides],
            "meaning": "the class of a pixel is that of its largest logit",
        },
        "sizes": {
            "most_images": _most(sizes), "sides": sizes.sides,
            "smallest_side": None if sizes.fixed else found.smallest,
        },
        "evaluation": {key: value for key, value in to_json(model.evaluation).items() if key != "overlays"},
        "checked": {
            "images": [list(shape) for shape in sizes.checked],
            "largest_difference": found.difference, "tolerance": TOLERANCE,
        },
        "versions": {package: version(package) for package in ("torch", *kind.packages)},
    }  # fmt: skip


def _most(sizes: Sizes) -> int | None:
    """Images of a batch; None for any number."""
    if sizes.sides == "any":
        return None
    return MOST if 0 in sizes.dynamic else sizes.example[0]
