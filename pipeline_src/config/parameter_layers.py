"""Layers of parameters: how they are merged, and which of them a key comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_src.config.explain import dotted


@dataclass(frozen=True)
class Layer:
    """One source of parameters; `where` is how an error names it, `prefix` where the tree starts in it."""

    where: str
    tree: dict[str, Any]
    prefix: tuple[str, ...] = ()


def locate(path: list[str | int], layers: list[Layer]) -> str:
    """`file: key.path` of the last layer that sets the key, or that comes nearest to it."""
    best = max(layers, key=lambda layer: (_depth(layer.tree, path), layers.index(layer)))
    return f"{best.where}: {dotted([*best.prefix, *path])}"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge of mappings; everything else (lists too) is replaced. Neither argument is changed.

    A mapping that names another `kind`, `format` or `timm` replaces the one below it, since the
    fields of two kinds do not mix.
    """
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and not _other_kind(below, value):
            result[key] = merge(below, value)
        else:
            result[key] = value
    return result


def _other_kind(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return any(key in over and key in below and over[key] != below[key] for key in ("kind", "format", "timm"))


def _depth(tree: Any, path: list[str | int]) -> int:
    depth = 0
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            break
        depth += 1
    return depth
