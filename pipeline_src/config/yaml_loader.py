"""The reader of YAML: PyYAML's, which knows at which key it is, and stops at a size that takes seconds."""

import re
from typing import Any

import yaml

from pipeline_src.config.yaml_nodes import DEEPEST, KeyPath, too_deep
from pipeline_src.config.yaml_scalars import FLOAT

MOST_BYTES = 500_000
MOST_WRITTEN = 30_000
"""Of a file: bytes, and values and keys. `params.yaml` has a tenth and a fifth; more takes seconds."""


class TooMuch(Exception):
    """A document is too large or nested too deep; `line` counts from 0."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class Loader(yaml.SafeLoader):
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
            raise TooMuch(self.line, too_deep())
        if self._nodes > MOST_WRITTEN:
            raise TooMuch(self.line, f"the file has more than {MOST_WRITTEN:,} values and keys; use fewer")
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode):
            is_key = index is None and parent is not None
            self._last = (*self.path(), node.value) if is_key else self.path(), node.end_mark.line
        self._at.pop()
        return node

    def path(self, line: int | None = None, after: bool = False) -> KeyPath:
        """The key path of what is being read, or of the mapping that it stands in.

        Where a value that was just read ends on `line`, it is that of this value; `after` a value of any
        line, it is that of the mapping around it.
        """
        names = (getattr(step, "value", step) for step in self._at)
        path = tuple(name for name in names if isinstance(name, str | int))
        last, its_line = self._last
        if its_line != line and after:
            last = last[:-1]
        return last if len(last) > len(path) and (its_line == line or after) else path

    def implied(self, node: yaml.ScalarNode) -> str:
        """The tag of a value if it had none of its own."""
        tag: str = self.resolve(yaml.ScalarNode, node.value, (node.style is None, node.style is not None))
        return tag


Loader.add_implicit_resolver(
    FLOAT, re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
