"""Text that is no YAML: at which key it is damaged, and what to mend."""

import re

import yaml

from pipeline_src.config.yaml_loader import Loader, TooMuch
from pipeline_src.config.yaml_nodes import KeyPath, Place
from pipeline_src.errors import InputError

LARGE = 100_000
"""Characters of a text that is read again to find a key."""

FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML allows nowhere, not even in a comment."""

_MEANINGS = (
    (r"found character '\\t' that", "a tab stands here; indent with spaces"),
    (r"found character '(.+)' that", r"a text cannot begin with \1; put it in quotes"),
    (r"mapping values are not allowed", "a colon too many, or a wrong indentation; quote texts with colons"),
    (r"could not find expected ':'", "the line has no `key: value`; add the colon, or mend the line before"),
    (r"found unexpected end of stream", "a quote is opened here and never closed; close it"),
    (r"expected ',' or '(.)'", r"a bracket is opened here and not closed by \1; close it, or add the comma"),
    (r"expected <block end>", "does not fit what stands before: an indentation, quote or bracket; mend it"),
    (r"invalid indentation or unclosed", "a wrong indentation, or an unclosed [ or {; mend it"),
    (r"but found another document", "a second document begins here; keep one, without `---`"),
    (r"found unexpected document separator", "`---` or `...` stands within a text; remove it"),
    (r"sequence entries are not allowed", "a list entry cannot stand here; begin the list on its own line"),
    (r"found unknown escape character", r"an unknown escape in double quotes; write \\\\ or use single ones"),
    (r"expected escape sequence", r"an unknown escape in double quotes; write \\\\ or use single ones"),
    (r"expected the node content", "a value is missing, or a sign is none; put texts in quotes"),
    (r"found undefined alias '(.*)'", r"there is no &\1 above for the alias *\1; define it before"),
    (r"second occurrence", "this anchor was defined before; use another name"),
)  # fmt: skip
"""What PyYAML says, and what is meant by it."""

_AT_ITS_BEGINNING = ("found unexpected end of stream", "expected ',' or", "could not find expected ':'")
"""Errors that PyYAML finds far below the place that has to be mended."""
_OF_A_CHARACTER = (
    "found unexpected end of stream",
    "found character",
    "found unknown escape",
    "expected escape",
    "expected the node",
)
"""Errors about one character, without which the rest can often be read."""
_OF_THE_LINES_ABOVE = ("expected <block end>", "invalid indentation")
"""Errors of which the reason may stand above."""


def forbidden(text: str, place: Place) -> InputError | None:
    """The error about the first character that YAML allows nowhere."""
    found = FORBIDDEN.search(text)
    if found is None:
        return None
    what = f"the character U+{ord(found[0]):04X} is not allowed in YAML; remove it"
    return wrong_character(text, found.start(), place, what)


def wrong_character(text: str, index: int, place: Place, what: str) -> InputError:
    """The error about a character, with its line and, if all else can be read, its key path."""
    line = len(re.findall(r"\r\n|\r|\n", text[:index]))
    return place.wrong(line, _key_at(FORBIDDEN.sub("x", text), index) or (), what)


def not_valid(error: yaml.MarkedYAMLError, text: str, loader: Loader, place: Place) -> InputError:
    """The error about a text that PyYAML cannot read."""
    problem, mark = str(error.problem), error.problem_mark
    meaning = next(
        (found.expand(said) for pattern, said in _MEANINGS if (found := re.match(pattern, problem))), problem
    )
    at_its_beginning = problem.startswith(_AT_ITS_BEGINNING)
    if at_its_beginning:
        mark = error.context_mark or mark
    line = loader.line if mark is None else mark.line
    path = None
    if mark is not None and problem.startswith(_OF_A_CHARACTER):
        path = _key_if_mended(text, mark.index)
    if path is None:
        after = problem.startswith(_OF_THE_LINES_ABOVE)
        path = loader.path(None if at_its_beginning else line, after)
        if after and (above := _line_above(text, line)) is not None:
            meaning += f" (it stands below line {above + 1})"
    return place.wrong(line, path, f"not valid YAML: {' '.join(meaning.split())}")


def no_character(text: str, loader: Loader, place: Place) -> InputError:
    """The error about an escape such as `\\UFFFFFFFF`."""
    path = _key_if_mended(text, loader.index) or loader.path()
    return place.wrong(loader.line, path, "not valid YAML: an escape that names no character; mend it")


def _key_if_mended(text: str, index: int) -> KeyPath | None:
    """The key path of an index, if the text can be read without the characters just there."""
    for start in (index, index - 1, index - 2):
        if 0 <= start < len(text) <= LARGE:
            instead = " " if text[start] == "\t" else "x"
            mended = text[:start] + instead * (index + 1 - start) + text[index + 1 :]
            if path := _key_at(mended, index):
                return path
    return None


def _line_above(text: str, line: int) -> int | None:
    """The last line before a line that is indented less, as the key is that it stands below."""
    lines = [one.replace("\t", " ") for one in re.split(r"\r\n|\r|\n", text)]
    indent = len(lines[line]) - len(lines[line].lstrip())
    for above in range(line - 1, -1, -1):
        words = lines[above].lstrip()
        if words and not words.startswith("#") and len(lines[above]) - len(words) < indent:
            return above
    return None


def _key_at(text: str, index: int) -> KeyPath | None:
    """The key path of an index of a text; None for a text that cannot be read."""
    try:
        root = Loader(text).get_single_node()
    except (yaml.YAMLError, TooMuch, ValueError, OverflowError):
        return None
    return None if root is None else _path_at(root, index, set())


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
