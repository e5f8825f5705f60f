"""The nodes of a YAML document, checked before anything is made of them.

What is checked here can neither hang nor surprise: aliases are counted as if they were written out, and
values stay texts until it is known what YAML makes of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import yaml

from pipeline_src.config.explain import dotted
from pipeline_src.config.yaml_scalars import (
    BOOL,
    DATE,
    FLOAT,
    INT,
    MERGE,
    NULL,
    PREFIX,
    STR,
    bad_text,
    shown,
    surprise,
)
from pipeline_src.errors import InputError

DEEPEST = 64
MOST_NODES = 100_000
"""Values and keys, those that aliases and `<<` repeat counted each time."""

SHOWN = 16
"""Parts of a key path that an error names: of a longer one, a parent."""

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """What a document is called in errors, the key path below which it stands, whether it has lines."""

    where: str
    above: KeyPath = ()
    lines: bool = True

    def wrong(self, line: int | None, path: KeyPath, text: str) -> InputError:
        """The error about a key; `line` counts from 0, as YAML's marks do."""
        number = f":{line + 1}" if self.lines and line is not None else ""
        key = dotted(
            [shown(part) if isinstance(part, str) else part for part in (*self.above, *path)[:SHOWN]]
        )
        return InputError(f"{self.where}{number}: {f'{key}: ' if key else ''}{text}")


@dataclass
class NodeCheck:
    """One pass over the nodes; `resolve` says which tag YAML gives to a value that has none."""

    place: Place
    resolve: Callable[[yaml.ScalarNode], str]
    _known: dict[int, tuple[int, int]] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)

    def visit(self, node: yaml.Node, path: KeyPath = (), line: int = 0) -> tuple[int, int]:
        """How many nodes stand below this one (itself included) and how deep they are nested.

        `line` is where the node is named, which for an alias is not where it stands. Raises `InputError`.
        """
        if id(node) in self._open:
            raise self.place.wrong(line, path, "refers to itself; an alias cannot stand in its own value")
        if id(node) not in self._known:
            self._open.add(id(node))
            self._known[id(node)] = self._visit(node, path)
            self._open.remove(id(node))
        count, depth = self._known[id(node)]
        if len(path) + depth - 1 > DEEPEST:
            raise self.place.wrong(line, path, too_deep())
        if count > MOST_NODES:
            text = f"stands for more than {MOST_NODES:,} values, aliases written out; use fewer"
            raise self.place.wrong(line, path, text)
        return count, depth

    def _visit(self, node: yaml.Node, path: KeyPath) -> tuple[int, int]:
        line = node.start_mark.line
        if isinstance(node, yaml.ScalarNode):
            self._scalar(node, path)
            return 1, 1
        tag = f"{PREFIX}{'map' if isinstance(node, yaml.MappingNode) else 'seq'}"
        if node.tag != tag:
            raise self.place.wrong(line, path, _tagged(node.tag, "a plain mapping or list"))
        if isinstance(node, yaml.MappingNode):
            below = self._mapping(node, path)
        else:
            below = [self.visit(entry, (*path, index), line) for index, entry in enumerate(node.value)]
        return 1 + sum(count for count, _ in below), 1 + max((depth for _, depth in below), default=0)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> list[tuple[int, int]]:
        first: dict[str, int] = {}
        below = []
        for key, value in node.value:
            line = key.start_mark.line
            name = self._key(key, path)
            if name in first:
                text = f"stands twice, first on line {first[name] + 1}; keep one"
                raise self.place.wrong(line, (*path, name), text)
            first[name] = line
            if key.tag == MERGE:
                self._merged(value, (*path, name), line)
            below.append(self.visit(value, (*path, name), line))
            below.append((1, 1))
        return below

    def _key(self, key: yaml.Node, path: KeyPath) -> str:
        """The text of a key, which has to be one."""
        line = key.start_mark.line
        if not isinstance(key, yaml.ScalarNode):
            text = "has a mapping or a list for a key; a key is a text (put braces in quotes)"
            raise self.place.wrong(line, path, text)
        name = str(key.value)
        if key.tag == MERGE:
            return name
        if not name:
            raise self.place.wrong(line, path, "has an empty key; give it a name")
        if wrong := bad_text(name, key=True):
            raise self.place.wrong(line, path, f"key {shown(name)!r} {wrong}")
        if key.tag != STR:
            text = f"the key is {_kind(key.tag)} to YAML; put it in quotes, since a key is a text"
            raise self.place.wrong(line, (*path, name), text)
        return name

    def _merged(self, value: yaml.Node, path: KeyPath, line: int) -> None:
        entries = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not all(isinstance(entry, yaml.MappingNode) for entry in entries):
            text = "takes over the keys of a mapping; write `<<: *name`, with `&name` at a mapping"
            raise self.place.wrong(line, path, text)

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> None:
        line = node.start_mark.line
        if wrong := bad_text(node.value):
            raise self.place.wrong(line, path, wrong)
        implied = self.resolve(node)
        if node.tag not in (implied, STR):
            raise self.place.wrong(line, path, _tagged(node.tag, "the value alone"))
        if node.style is None and node.tag == implied and (found := surprise(node.tag, node.value)):
            raise self.place.wrong(line, path, found)


def too_deep() -> str:
    """What is said of values that are nested too deep."""
    return f"is nested deeper than {DEEPEST} levels; use fewer"


def _tagged(tag: str, instead: str) -> str:
    name = f"!!{tag.removeprefix(PREFIX)}" if tag.startswith(PREFIX) else tag
    return f"has the tag {shown(name)}, which is not allowed; write {instead}"


def _kind(tag: str) -> str:
    words = {INT: "a number", FLOAT: "a number", BOOL: "true or false", NULL: "null", DATE: "a date"}
    return words.get(tag, "no text")
