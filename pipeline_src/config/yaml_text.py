"""YAML that a user wrote: one mapping from a file, or one value from the command line.

Whatever is wrong with it is an `InputError` of one line, with the file, the line, and the key path as far as
it is known there. Nothing takes long: size, nesting and aliases have limits.
"""

import copy
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipeline_src.config.kept_trees import kept_or_parsed
from pipeline_src.config.yaml_damage import forbidden, no_character, not_valid, wrong_character
from pipeline_src.config.yaml_loader import MOST_BYTES, Loader, TooMuch
from pipeline_src.config.yaml_nodes import DEEPEST, MOST_NODES, KeyPath, NodeCheck, Place, too_deep
from pipeline_src.config.yaml_scalars import bad_number, bad_text, shown, surprise
from pipeline_src.errors import InputError


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that stands in a file; raises `InputError`."""
    place = Place(str(path))
    tree = copy.deepcopy(_parsed(_text_of(Path(path), place), place))
    if tree is None:
        raise InputError(f"{path}: is empty; write at least one key, such as `seeds: 3`")
    if not isinstance(tree, dict):
        raise InputError(f"{path}: must be a mapping of keys to values, not {_called(tree)}")
    return tree


@lru_cache(maxsize=4)
def _parsed(text: str, place: Place) -> Any:
    return kept_or_parsed(text, lambda: parse(text, place))


def parse(text: str, place: Place) -> Any:
    """What stands in a text: mappings, lists, texts, finite numbers, true, false and null.

    Raises `InputError`.
    """
    if wrong := forbidden(text, place):
        raise wrong
    loader = Loader(text)
    try:
        root = loader.get_single_node()
    except TooMuch as error:
        raise place.wrong(error.line, loader.path(), str(error)) from None
    except yaml.MarkedYAMLError as error:
        raise not_valid(error, text, loader, place) from None
    except (ValueError, OverflowError):  # of `chr`
        raise no_character(text, loader, place) from None
    if root is None:
        return None
    NodeCheck(place, loader.implied).visit(root)
    return loader.construct_document(root)


def as_written(value: Any, place: Place) -> Any:
    """A tree whose texts, such as `true`, `null` and `5e-4`, are read as `parse` would read them.

    Snakemake leaves them as texts where they were given on the command line. Raises `InputError` for what
    `parse` refuses, too.
    """
    return _Given(place).read(value, ())


class _Given:
    """Values that something else than `parse` has read."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._nodes = 0

    def read(self, value: Any, path: KeyPath) -> Any:
        self._nodes += 1
        if len(path) > DEEPEST:
            raise self._place.wrong(None, path, too_deep())
        if self._nodes > MOST_NODES:
            raise self._place.wrong(None, path, f"more than {MOST_NODES:,} values are given; use fewer")
        if isinstance(value, Mapping):
            return {self._key(key, path): self.read(below, (*path, key)) for key, below in value.items()}
        if isinstance(value, list | tuple):
            return [self.read(below, (*path, index)) for index, below in enumerate(value)]
        wrong = None
        if isinstance(value, str):
            wrong = bad_text(value)
            if wrong is None and re.fullmatch(r"[-+.\w]+", value):
                return self._scalar(value, path)
        elif isinstance(value, int | float):
            wrong = bad_number(value)
        if wrong:
            raise self._place.wrong(None, path, wrong)
        return value

    def _key(self, key: Any, path: KeyPath) -> Any:
        if isinstance(key, str) and (wrong := bad_text(key, key=True)):
            raise self._place.wrong(None, path, f"key {shown(key)!r} {wrong}")
        return key

    def _scalar(self, text: str, path: KeyPath) -> Any:
        loader = Loader(text)
        tag = loader.implied(yaml.ScalarNode("", text))
        if found := surprise(tag, text, quoting=False):
            raise self._place.wrong(None, path, found)
        scalar = loader.construct_document(yaml.ScalarNode(tag, text))
        return scalar if scalar is None or isinstance(scalar, bool | int | float) else text


def _text_of(path: Path, place: Place) -> str:
    """A file's characters."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name a file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({_in_one_line(error)})") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: has more than {MOST_BYTES:,} bytes; a file of parameters may have no more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        text = content.decode("utf-8-sig", errors="replace")
        what = f"the byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise wrong_character(text, len(before), place, what) from None


def _called(tree: Any) -> str:
    return "a list" if isinstance(tree, list) else f"the value {shown(str(tree))!r}"


def _in_one_line(text: object) -> str:
    return " ".join(str(text).split())
