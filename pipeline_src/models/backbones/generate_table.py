"""Generate the committed table of backbones from the installed timm.

`python -m pipeline_src.models.backbones.generate_table` writes it, `--check` fails with the
differing rows when the committed one has drifted. No weights and no network are needed.
"""

import argparse
import csv
import difflib
import inspect
import io

import timm
import torch
from timm.models import PretrainedCfg

from pipeline_src.components import COMPONENTS, load
from pipeline_src.errors import InputError, run_command
from pipeline_src.files import write_text
from pipeline_src.models.backbones.create_timm import RESERVED_ARGS
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.backbones.table import COLUMNS, TABLE


def generate() -> str:
    """The table as CSV text: one row per architecture and weight tag, lists separated by spaces."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for kind in COMPONENTS:
        if kind.startswith("backbone."):
            family = load(kind)
            for architecture in family.architectures:
                writer.writerows(_rows(kind.removeprefix("backbone."), family, architecture))
    return text.getvalue()


def _rows(kind: str, family: type[StagedBackbone], architecture: str) -> list[dict[str, object]]:
    names = sorted(timm.list_pretrained(f"{architecture}.*"))
    with torch.device("meta"):
        backbone = family(names[0])
    shared = {
        "family": kind,
        "channels": _join(backbone.channels),
        "strides": _join(backbone.strides),
        "stem_stride": backbone.segments[0].factor,
        "parameters": sum(parameter.numel() for parameter in backbone.parameters()),
        "supports_output_stride": _yes(backbone.supports_output_stride),
        "out_norm": _yes(family.normalises_levels),
        "arguments": _join(_arguments(family.network_class)),
    }
    default = _config(architecture).tag
    rows: list[dict[str, object]] = []
    for name in names:
        config = _config(name)
        notes = ["timm's default tag"] if config.tag == default else []
        if config.num_classes not in (0, 1000):
            notes.append(f"trained with {config.num_classes} outputs")
        rows.append(
            {
                "name": name,
                "mean": _join(config.mean),
                "std": _join(config.std),
                "interpolation": config.interpolation,
                "input_size": _join(config.input_size[1:]),
                "licence": config.license or "",
                "hub": f"{config.hf_hub_id}" if config.hf_hub_id else "",
                "notes": "; ".join(notes),
                **shared,
            }
        )
    return rows


def _arguments(network_class: type) -> list[str]:
    """What `args` of a backbone may set."""
    parameters = inspect.signature(network_class).parameters.values()
    named = [one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
    return [name for name in named if name not in RESERVED_ARGS]


def _config(name: str) -> PretrainedCfg:
    config = timm.get_pretrained_cfg(name)
    assert config is not None, name
    return config


def _join(values: object) -> str:
    assert isinstance(values, list | tuple)
    return " ".join(str(value) for value in values)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def main() -> None:
    """Command line: write the table, or compare it with `--check`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the committed table differs")
    arguments = parser.parse_args()
    text = generate()
    if not arguments.check:
        write_text(TABLE, text)
        print(f"wrote {TABLE}")
        return
    committed = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
    if committed != text:
        lines = difflib.unified_diff(
            committed.splitlines(), text.splitlines(), "committed", "timm", lineterm="", n=0
        )
        print("\n".join(lines))
        raise InputError(f"{TABLE}: differs from timm {timm.__version__}; run this command without --check")


if __name__ == "__main__":
    run_command(main)
