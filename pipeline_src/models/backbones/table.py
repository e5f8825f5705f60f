"""The backbones that the project knows, from the committed table; standard library only.

`table.csv` is generated from timm by `python -m pipeline_src.models.backbones.generate_table`,
so that names, tags, channels and normalisation can be checked without importing timm or torch.
"""

import difflib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline_src.csv_rows import read_rows
from pipeline_src.errors import InputError

PACKAGE_FILES = ("table.csv",)
"""Data files beside this module that are part of the code that reads them."""

TABLE = Path(__file__).with_name(PACKAGE_FILES[0])
COLUMNS = (
    "name", "family", "channels", "strides", "stem_stride", "mean", "std", "interpolation", "input_size",
    "licence", "parameters", "supports_output_stride", "out_norm", "arguments", "hub", "notes",
)  # fmt: skip


@dataclass(frozen=True)
class BackboneArchitecture:
    """What does not depend on the weights. Level `l` has nominal stride `2**l`.

    `arguments` are the names that timm's class takes and `args` may set; empty where they are not known.
    """

    architecture: str
    family: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    stem_stride: int
    parameters: int
    supports_output_stride: bool
    out_norm: bool
    arguments: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def levels(self) -> tuple[int, ...]:
        """The feature levels that the architecture has: `log2` of its strides."""
        return tuple(stride.bit_length() - 1 for stride in self.strides)


@dataclass(frozen=True)
class BackboneFacts(BackboneArchitecture):
    """An architecture with one weight tag: normalisation, input size `(height, width)`, licence, origin."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    input_size: tuple[int, int]
    licence: str
    hub: str
    notes: str


def lookup(name: str) -> BackboneFacts:
    """Facts of an exact timm name with its weight tag, such as `resnet50.tv_in1k`.

    An unknown name is an `InputError` that lists the tags of the architecture or close names.
    """
    facts = read_table()
    if name in facts:
        return facts[name]
    architecture = name.split(".")[0]
    tags = [known for known in facts if facts[known].architecture == architecture]
    if tags:
        problem = "has no weight tag" if name == architecture else "is not a known weight tag"
        raise InputError(f"backbone {name!r} {problem}; known: {', '.join(tags)}")
    raise InputError(f"unknown backbone {name!r}; close: {', '.join(_close(name, sorted(facts)))}")


def lookup_architecture(name: str) -> BackboneArchitecture:
    """Facts of an architecture; `name` may carry a tag, which must then be a known one.

    For weights that come as a file and belong to no tag. An unknown name is an `InputError`.
    """
    if "." in name:
        return lookup(name)
    for facts in read_table().values():
        if facts.architecture == name:
            return facts
    known = sorted({facts.architecture for facts in read_table().values()})
    raise InputError(f"unknown backbone {name!r}; close: {', '.join(_close(name, known))}")


@cache
def read_table() -> dict[str, BackboneFacts]:
    """All rows of the committed table by name, in the table's order; `InputError` for a damaged one."""
    found = {}
    for line, row in read_rows(TABLE, COLUMNS):
        try:
            found[row["name"]] = _parse(row)
        except ValueError as error:
            raise InputError(f"{TABLE}:{line}: {' '.join(str(error).split())}") from None
    return found


def _parse(row: dict[str, str]) -> BackboneFacts:
    height, width = (int(side) for side in row["input_size"].split())
    return BackboneFacts(
        architecture=row["name"].split(".")[0],
        family=row["family"],
        channels=tuple(int(value) for value in row["channels"].split()),
        strides=tuple(int(value) for value in row["strides"].split()),
        stem_stride=int(row["stem_stride"]),
        parameters=int(row["parameters"]),
        supports_output_stride=row["supports_output_stride"] == "yes",
        out_norm=row["out_norm"] == "yes",
        arguments=tuple(row["arguments"].split()),
        name=row["name"],
        mean=tuple(float(value) for value in row["mean"].split()),
        std=tuple(float(value) for value in row["std"].split()),
        interpolation=row["interpolation"],
        input_size=(height, width),
        licence=row["licence"],
        hub=row["hub"],
        notes=row["notes"],
    )


def _close(name: str, known: list[str]) -> list[str]:
    return difflib.get_close_matches(name, known, n=5, cutoff=0.3) or known[:5]
