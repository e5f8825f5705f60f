"""YAML that a user wrote: one mapping from a file, or one value from the command line.

Whatever is wrong with it is an `InputError` of one line, with the file, the line, and the key path as far as
it is known there. Nothing takes long: size, nesting and aliases have limits.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline_src.config.yaml_nodes import DEEPEST, MOST_NODES, KeyPath, NodeCheck, Place, too_deep
from pipeline_src.config.yaml_scalars import FLOAT, bad_number, bad_text, shown, surprise
from pipeline_src.errors import InputError

MOST_BYTES = 500_000
MOST_WRITTEN = 30_000
"""Of a file: bytes, and values and keys. `params.yaml` has a tenth and a fifth; more takes seconds."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML allows nowhere, not even in a comment."""

_MEANINGS = (
    (r"found character '\\t' that", "a tab stands here; indent with spaces"),
    (r"found character '(.+)' that", r"a text cannot begin with \1; put it in quotes"),
    (r"mapping values are not allowed", "a colon too many, or a wrong indentation; quote texts with colons"),
    (r"could not find expected ':'", "a line has no `key: value`; add the colon, or mend the line before it"),
    (r"found unexpected end of stream", "a quote is opened here and never closed; close it"),
    (r"expected ',' or '(.)'", r"a bracket is opened here and not closed by \1; close it, or add the comma"),
    (r"expected <block end>", "does not fit what stands before: an indentation, quote or bracket; mend it"),
    (r"invalid indentation or unclosed", "a wrong indentation, or an unclosed [ or {; mend it"),
    (r"but found another document", "a second document begins here; keep one, without `---`"),
    (r"found unexpected document separator", "`---` or `...` stands within a text; remove it"),
    (r"sequence entries are not allowed", "a list entry cannot stand here; begin the list on its own line"),
    (r"found unknown escape character", r"an unknown escape in double quotes; write \\\\ or use single ones"),
    (r"found undefined alias '(.*)'", r"there is no &\1 above for the alias *\1; define it before"),
    (r"second occurrence", "this anchor was defined before; use another name"),
)  # fmt: skip
"""What PyYAML says, and what is meant by it."""

_AT_ITS_BEGINNING = ("found unexpected end of stream", "expected ',' or")
"""Errors that PyYAML finds far below the place that has to be mended."""


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that stands in a file; raises `InputError`."""
    place = Place(str(path))
    tree = parse(_text_of(Path(path), place), place)
    if tree is None:
        raise InputError(f"{path}: is empty; write at least one key, such as `seeds: 3`")
    if not isinstance(tree, dict):
        raise InputError(f"{path}: must be a mapping of keys to values, not {_called(tree)}")
    return tree


def parse(text: str, place: Place) -> Any:
    """What stands in a text: mappings, lists, texts, finite numbers, true, false and null.

    Raises `InputError`.
    """
    if found := _FORBIDDEN.search(text):
        what = f"the character U+{ord(found[0]):04X} is not allowed in YAML; remove it"
        raise _at(text, found.start(), place, what)
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    except _TooMuch as error:
        raise place.wrong(error.line, loader.path(), str(error)) from None
    except yaml.MarkedYAMLError as error:
        raise _not_valid(error, loader, place) from None
    except (ValueError, OverflowError):  # of `chr`, for "\UFFFFFFFF"
        text = "not valid YAML: an escape that names no character; mend it"
        raise place.wrong(loader.line, loader.path(), text) from None
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


class _TooMuch(Exception):
    """A document is too large or nested too deep; `line` counts from 0."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with the floats of YAML 1.2; it knows at which key it is while it reads."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._at: list[Any] = []
        self._last: tuple[KeyPath, int] = ((), -1)
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node, within the limits."""
        self._at.append(index)
        self._nodes += 1
        if len(self._at) > DEEPEST + 1:
            raise _TooMuch(self.line, too_deep())
        if self._nodes > MOST_WRITTEN:
            raise _TooMuch(self.line, f"the file has more than {MOST_WRITTEN:,} values and keys; use fewer")
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode):
            is_key = index is None and parent is not None
            self._last = (*self.path(), node.value) if is_key else self.path(), node.end_mark.line
        self._at.pop()
        return node

    def path(self, line: int = -2) -> KeyPath:
        """The key path of what is being read, or of the mapping that it stands in.

        Where a value that was just read ends on `line`, it is that of this value.
        """
        names = (getattr(step, "value", step) for step in self._at)
        path = tuple(name for name in names if isinstance(name, str | int))
        return self._last[0] if self._last[1] == line and len(self._last[0]) > len(path) else path

    def implied(self, node: yaml.ScalarNode) -> str:
        """The tag of a value if it had none of its own."""
        tag: str = self.resolve(yaml.ScalarNode, node.value, (node.style is None, node.style is not None))
        return tag


_Loader.add_implicit_resolver(
    FLOAT, re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


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
        loader = _Loader(text)
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
        raise _at(text, len(before), place, what) from None


def _at(text: str, index: int, place: Place, what: str) -> InputError:
    """The error about a character, with the key path that it stands at, if the rest can be read."""
    line = len(re.findall(r"\r\n|\r|\n", text[:index]))
    try:
        root = _Loader(_FORBIDDEN.sub("?", text)).get_single_node()
    except (yaml.YAMLError, _TooMuch, ValueError, OverflowError):
        root = None
    return place.wrong(line, _path_at(root, index, set()) if root is not None else (), what)


def _path_at(node: yaml.Node, index: int, seen: set[int]) -> KeyPath:
    """The key path of the innermost node that an index of the text is in; `seen` are those around it."""
    if id(node) in seen:
        return ()
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        below = [(key.value, key.start_mark.index, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        below = [(place, entry.start_mark.index, entry) for place, entry in enumerate(node.value)]
    else:
        return ()
    for name, start, value in below:
        # an alias ends before its key begins, and is not gone into
        if start <= index < value.end_mark.index and isinstance(name, str | int):
            return (name, *_path_at(value, index, seen))
    return ()


def _not_valid(error: yaml.MarkedYAMLError, loader: _Loader, place: Place) -> InputError:
    problem = str(error.problem)
    mark, at_its_beginning = error.problem_mark, problem.startswith(_AT_ITS_BEGINNING)
    if error.context_mark is not None and at_its_beginning:
        mark = error.context_mark
    meaning = next(
        (found.expand(said) for pattern, said in _MEANINGS if (found := re.match(pattern, problem))), problem
    )
    line = loader.line if mark is None else mark.line
    path = loader.path() if at_its_beginning else loader.path(line)
    return place.wrong(line, path, f"not valid YAML: {_in_one_line(meaning)}")


def _called(tree: Any) -> str:
    return "a list" if isinstance(tree, list) else f"the value {shown(str(tree))!r}"


def _in_one_line(text: object) -> str:
    return " ".join(str(text).split())
