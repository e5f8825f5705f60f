"""`--config KEY=VALUE`, as the commands take it."""

from typing import Any

from pipeline_src.config.yaml_nodes import Place
from pipeline_src.config.yaml_text import parse
from pipeline_src.errors import InputError


def tree_of(setting: str) -> Any:
    """From `key.sub=value` to `{"key": {"sub": value}}`, the value read as a file would be.

    Raises `InputError` for a text without a key or a value, and for a value that a file may not have.
    """
    key, separator, value = setting.partition("=")
    keys = key.split(".")
    if not separator or not all(keys):
        raise InputError(f"--config {setting!r}: write it as KEY=VALUE")
    tree = parse(value, Place("--config", tuple(keys), lines=False))
    for part in reversed(keys):
        tree = {part: tree}
    return tree
