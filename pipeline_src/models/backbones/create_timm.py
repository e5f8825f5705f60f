"""Making a timm network and filling it from a verified safetensors file; never from a model hub."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from timm.models import load_pretrained
from torch import nn

from pipeline_src.errors import InputError

RESERVED_ARGS = frozenset(
    [
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
        "cache_dir",
        "scriptable",
        "exportable",
        "no_jit",
        "num_classes",
        "in_chans",
        "features_only",
        "out_indices",
        "output_stride",
        "global_pool",
        "device",
        "dtype",
    ]
)
"""Arguments of `timm.create_model` that the project sets itself."""


def create_network(name: str, args: dict[str, Any]) -> nn.Module:
    """The randomly initialised timm network `name` without classifier; `args` go to `timm.create_model`.

    Raises `InputError` for an unknown name and for arguments that timm refuses.
    """
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in args.items()
    }
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, **values)
    except (TypeError, ValueError, AssertionError, IndexError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"backbone {name}: timm cannot make it with args {args}: {reason}") from error


def check_args(name: str, args: dict[str, Any]) -> None:
    """Refuse arguments that the project sets itself (`InputError`)."""
    if taken := sorted(RESERVED_ARGS & args.keys()):
        raise InputError(
            f"backbone {name}: args must not hold {', '.join(taken)}; the project sets "
            f"{'it' if len(taken) == 1 else 'them'} itself"
        )


def load_weights(network: nn.Module, path: str | Path, weight_filter: Callable | None = None) -> list[str]:
    """Load a safetensors file into `network` through timm's own loader, so that its key conversions apply.

    `weight_filter` is the family's checkpoint filter in timm. Returns the keys of the network that the
    file lacks, for `refuse_missing`. A missing or damaged file and a key or shape that does not fit
    are an `InputError` that names the first ones; a classifier in the file is ignored.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: weights are read as .safetensors only")
    missing: list[str] = []
    unexpected: list[str] = []

    def record(_module: nn.Module, keys: Any) -> None:
        missing.extend(keys.missing_keys)
        unexpected.extend(sorted(keys.unexpected_keys))
        # Cleared, since timm would only log them; they are judged below.
        keys.missing_keys.clear()
        keys.unexpected_keys.clear()

    handle = network.register_load_state_dict_post_hook(record)
    config = {**_pretrained_cfg(network), "file": str(path), "custom_load": False, "source": None}
    try:
        load_pretrained(network, pretrained_cfg=config, num_classes=0, filter_fn=weight_filter, strict=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such weight file") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    except (RuntimeError, KeyError, AssertionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        reason = _first(lines) if lines else " ".join(str(error).split())
        raise InputError(f"{path}: does not fit the network: {reason}") from error
    finally:
        handle.remove()
    if unexpected:
        raise InputError(f"{path}: does not fit the network: it has unknown {_first(unexpected)}")
    return missing


def refuse_missing(network: nn.Module, missing: list[str], path: str | Path) -> None:
    """Raise `InputError` if `missing` names something that `network`, by now cut to what is used, has."""
    present = network.state_dict().keys()
    if needed := [key for key in missing if key in present]:
        raise InputError(f"{path}: does not fit the network: it lacks {_first(needed)}")


def _pretrained_cfg(network: nn.Module) -> dict[str, Any]:
    config: Any = network.pretrained_cfg
    return dict(config) if isinstance(config, dict) else dataclasses.asdict(config)


def _first(items: list[str], shown: int = 3) -> str:
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more
