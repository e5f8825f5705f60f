"""`--config KEY=VALUE`, as the commands take it."""

from typing import Any

import yaml

from pipeline_src.errors import InputError


def tree_of(setting: str) -> Any:
    """From `key.sub=value` to `{"key": {"sub": value}}`, the value read as YAML.

    Raises `InputError` for a text without a key or a value.
    """
    key, separator, value = setting.partition("=")
    if not separator or not key:
        raise InputError(f"--config {setting!r}: write it as KEY=VALUE")
    tree: Any = yaml.safe_load(value)
    for part in reversed(key.split(".")):
        tree = {part: tree}
    return tree
