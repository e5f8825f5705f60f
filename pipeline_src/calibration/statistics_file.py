"""The statistics file of a calibration: what was measured, on what, and for which initial network.

    {"format": 1, "content", "form",
     "initialisation": digest of the initial weights, "model": digest of the model section,
     "data": content of the manifest,
     "batch", "batches", "images", "augment", "batch_norm": "batch statistics" | "fixed",
     "dropout": "off", "drop_path": "off", "order": [[names, one list per nesting level]],
     "concatenations": {"decoder.concat": [{"branch": "level 2", "channels", "count", "mean", "std",
                                            "raw_mean", "raw_std"}, ...]}}

`count` values went into `mean` and `std` (those of the upsampled branch); `raw_` is before upsampling.
A network refuses statistics that were measured for another initialisation, model or data set.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pipeline_src.errors import InputError
from pipeline_src.files import digest_of, read_json, write_json
from pipeline_src.models.fusion.scale_equalizer import EQUALIZER_KEY, Scale, apply_scales, check_scales
from pipeline_src.training.weight_files import digest_of_weights

FORMAT = 1


def identity_of(model: nn.Module, section: dict[str, Any], data: str) -> dict[str, str]:
    """What statistics belong to: the initial weights without equalizers, the model section, the data."""
    weights = {name: tensor for name, tensor in model.state_dict().items() if EQUALIZER_KEY not in name}
    return {"initialisation": digest_of_weights(weights), "model": digest_of(section), "data": data}


def check_branches(name: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a branch that cannot be divided by its std (`InputError` naming it)."""
    check_scales(name, [record["branch"] for record in records], scales_of(records))


def scales_of(records: Sequence[Mapping[str, Any]]) -> list[Scale]:
    """Mean and std of every subject of one concatenation."""
    return [(float(record["mean"]), float(record["std"])) for record in records]


def write_statistics(path: str | Path, facts: dict[str, Any]) -> str:
    """Write the file; returns its `content`."""
    said = {"format": FORMAT, **{key: value for key, value in facts.items() if key != "content"}}
    content = digest_of(said)
    write_json(path, {"content": content, **said})
    return content


def read_statistics(path: str | Path) -> dict[str, Any]:
    """Read the file. Raises `InputError` for another format, an edited file, a std near 0 or not finite."""
    value = read_json(path)
    if not isinstance(value, dict) or value.get("format") != FORMAT or "concatenations" not in value:
        raise InputError(f"{path}: not the statistics of a calibration (format {FORMAT}); calibrate again")
    try:
        for name, records in value["concatenations"].items():
            check_branches(name, records)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error!r}); calibrate again") from None
    if value.get("content") != digest_of({key: part for key, part in value.items() if key != "content"}):
        raise InputError(f"{path}: is not as it was written; delete it and calibrate again")
    return value


def equalise(model: nn.Module, section: dict[str, Any], data: str, path: str | Path) -> dict[str, Any]:
    """Apply a statistics file to the initial `model` of `section`; returns facts for a sidecar.

    `data` is the manifest's content. Raises `InputError` as `scales_for` does.
    """
    statistics, scales = scales_for(model, section, data, path)
    form = section["equalizer"]["form"]
    apply_scales(model, form, scales)
    return {"statistics": str(path), "content": statistics["content"], "form": form}


def scales_for(
    model: nn.Module, section: dict[str, Any], data: str, path: str | Path
) -> tuple[dict[str, Any], dict[str, list[Scale]]]:
    """A statistics file, and its scales by concatenation, if it belongs to the initial `model` of `section`.

    Raises `InputError` when it was measured for another initialisation, model, data set, form or choice of
    concatenations.
    """
    statistics = read_statistics(path)
    own = {**identity_of(model, section, data), "form": section["equalizer"]["form"]}
    words = {
        "form": "form of equalizer",
        "data": "data set",
        "model": "model",
        "initialisation": "initialisation",
    }
    for key, word in words.items():
        if statistics.get(key) != own[key]:
            raise InputError(
                f"{path}: was calibrated for another {word} ({str(statistics.get(key))[:12]}, not "
                f"{own[key][:12]}); calibrate this run again"
            )
    scales = {name: scales_of(records) for name, records in statistics["concatenations"].items()}
    wanted = [name for level in section["equalizer"]["concatenations"] for name in level]
    if sorted(scales) != sorted(wanted):
        raise InputError(
            f"{path}: has {', '.join(sorted(scales))}, the model equalises {', '.join(sorted(wanted))}; "
            "calibrate this run again"
        )
    return statistics, scales
