"""Writes what a look at the data found as parameters: a short overlay on `params.yaml`, ready to run.

The comparison is the study that the package has of all ideas, on the user's data: `cross` for masks,
`cross_boxes` for boxes. What is written are choices, each to be changed by hand.
"""

import shlex
from dataclasses import dataclass
from typing import Any

import yaml

MASKS, BOXES = "cross", "cross_boxes"
SMALL_BACKBONE, SMALL_TIMM = "resnet18", "resnet18.tv_in1k"
CROP, LONG_SIDE = 512, 1333
STRIDE = 32
"""What the sides of a crop are multiples of: the coarsest map's stride."""


class _Dumper(yaml.SafeDumper):
    """Quotes text that begins like a number: `5e-4` is none to PyYAML, but to the reader of parameters."""

    def ignore_aliases(self, data: Any) -> bool:
        """No `&id001`: a value that stands twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if text[:1] in "+-." or text[:1].isdigit() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


@dataclass(frozen=True)
class Choices:
    """What is chosen from what was seen.

    `file` is what is written, `dataset` the entry of `datasets`; `size` the images' median width and height,
    `train_images` their number. Without a `gpu` network, images and training are small. `backbone` is a key
    of `params.yaml`; `weights` is what its entry says of weights, None for the usual ones.
    """

    name: str
    file: str
    task: str
    dataset: dict[str, Any]
    size: tuple[int, int]
    train_images: int
    gpu: bool
    backbone: str | None = None
    weights: Any = None

    @property
    def study(self) -> str:
        """The study that is run."""
        return MASKS if self.task == "segmentation" else BOXES

    @property
    def network(self) -> str:
        """The backbone's key."""
        return self.backbone or ("resnet50" if self.gpu else SMALL_BACKBONE)

    @property
    def batch(self) -> int:
        """Images of a step, no more than there are."""
        most = 8 if self.task == "segmentation" else 4
        return max(1, min(most, self.train_images))

    @property
    def iterations(self) -> int:
        """Length of a training: 40 epochs, and no less than makes sense; without a GPU a short one."""
        epoch = max(1, self.train_images // self.batch)
        longest = 20000 if self.gpu else 600
        return min(longest, max(300, 40 * epoch))


def overlay_text(choices: Choices) -> str:
    """The file's text, at most 25 lines."""
    where = "a GPU" if choices.gpu else "a CPU: small network, short training"
    head = [
        f"# Written by `init` for {where}. All keys: workflow/schemas/params.schema.json",
        f"scale: {choices.name} # results go to results/{choices.name}/",
        f"select: [{choices.study}] # run it: snakemake --cores all --configfile {shlex.quote(choices.file)}",
    ]
    note = f"{choices.name}, {choices.iterations} iterations"
    parts: dict[str, Any] = {"scales": {choices.name: {"scale_note": note, "compute": {"threads": 1}}}}
    if choices.network == SMALL_BACKBONE or choices.weights is not None:
        small = {"timm": SMALL_TIMM} if choices.network == SMALL_BACKBONE else {}
        given = {} if choices.weights is None else {"weights": choices.weights}
        parts["backbones"] = {choices.network: {**small, **given}}
    lines = [*head, *_flow(parts)]
    entry = choices.dataset
    lines += ["datasets:", f"  {choices.name}:"]
    lines += [f"    {key}: {_inline(value)}" for key, value in entry.items()]
    lines += ["recipes:", f"  {choices.name}:"]
    lines += [f"    {key}: {_inline(value)}" for key, value in _recipe(choices).items()]
    study: dict[str, Any] = {
        "title": f"Which ideas help on {choices.name}?",
        "dataset": choices.name,
        "recipe": choices.name,
        "model": {"backbone": choices.network},
        "seeds": 3,
    }
    if choices.task == "segmentation":
        study["evaluation"] = None
        study["model"] |= {"decoder": {"channels": 256 if choices.gpu else 64}, "auxiliary": None}
    lines += _flow({"studies": {choices.study: study}})
    return "\n".join(lines) + "\n"


def _recipe(choices: Choices) -> dict[str, Any]:
    """SGD as the toolboxes have it for a small batch, and images as large as was seen, up to a limit."""
    width, height = choices.size
    every = {"iterations": max(1, choices.iterations // 4)}
    if choices.task == "segmentation":
        limit = CROP if choices.gpu else CROP // 2
        crop = [_multiple(min(side, limit)) for side in (height, width)]
        augment: dict[str, Any] = {"resize": {"ratio": [0.75, 1.5]}, "crop": crop, "flip": 0.5}
        optimizer = {"kind": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
    else:
        limit = LONG_SIDE if choices.gpu else LONG_SIDE // 3
        factor = min(1.0, limit / max(width, height))
        long, short = (round(factor * side) for side in (max(width, height), min(width, height)))
        augment = {"scales": [[long, short]], "flip": 0.5}
        optimizer = {"kind": "sgd", "lr": 0.005, "momentum": 0.9, "weight_decay": 1e-4}
    return {
        "optimizer": optimizer,
        "schedule": {"kind": "poly", "power": 0.9, "min_lr": 0.0},
        "warmup": {"iterations": min(100, choices.iterations // 4), "ratio": 0.1},
        "iterations": choices.iterations,
        "batch": choices.batch,
        "augment": augment,
        "validate_every": every,
    }


def _multiple(side: int) -> int:
    return max(STRIDE, side // STRIDE * STRIDE)


def _flow(parts: dict[str, Any]) -> list[str]:
    return [f"{key}: {_inline(value)}" for key, value in parts.items()]


def _inline(value: Any) -> str:
    """A value on one line, as YAML reads it back."""
    text = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")
