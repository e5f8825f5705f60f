"""Unquoted values of which YAML 1.1 makes something that was hardly meant: `no`, `010`, `1:30`, a date.

Each is refused with what YAML makes of it and how to write what was meant (decision 0024).
"""

import math
import re
import unicodedata

import yaml

PREFIX = "tag:yaml.org,2002:"
BOOL, INT, FLOAT, STR, NULL = (f"{PREFIX}{name}" for name in ("bool", "int", "float", "str", "null"))
DATE, VALUE, MERGE = f"{PREFIX}timestamp", f"{PREFIX}value", f"{PREFIX}merge"
"""`VALUE` is the tag of `=`, `MERGE` of the key `<<`, by which a mapping takes over the keys of another."""

LONGEST_TEXT = 10_000
LONGEST_KEY = 200
"""Characters. Keys become names of files, which may have 255 on most disks."""
SHOWN = 40
"""Characters of a value that an error shows."""

_PLAIN_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_PLAIN_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_OCTAL_OF_1_2 = re.compile(r"0o[0-7]+")
_KINDS = (
    (re.compile(r".*:"), "a colon makes it count in sixties"),
    (re.compile(r"[-+]?0b"), "0b makes it binary"),
    (re.compile(r"[-+]?0x"), "0x makes it hexadecimal"),
    (re.compile(r"[-+]?0[0-9_]"), "the 0 in front makes it octal"),
    (re.compile(r".*_"), "underscores are dropped"),
)


def surprise(tag: str, text: str, quoting: bool = True) -> str | None:
    """What is wrong with an unquoted value, and how to write what was meant; None where nothing is.

    `tag` is what YAML 1.1 takes it for. Without `quoting`, quotes would be lost before they are read.
    """
    if tag == BOOL and text.lower() not in ("true", "false"):
        return _said(text, _truth(text), "", [_truth(text)], quoting)
    if tag == INT:
        return _integer(text, quoting)
    if tag == FLOAT:
        return _float(text, quoting)
    if tag == DATE:
        return _said(text, "a date", "", [], quoting)
    if tag in (VALUE, MERGE):
        return _said(text, "a sign of its own", "", [], quoting)
    if tag == STR and text in ("y", "Y", "n", "N"):
        reading = f"{_truth(text)} to some readers and a text"
        return _said(text, reading, "", [_truth(text)], quoting)
    if tag == STR and (number := _looks_like(text)) is not None:
        return _said(text, "a text", "", [number], quoting)
    return None


def bad_text(text: str, key: bool = False) -> str | None:
    """What is wrong with a text of any style: its length, or a character that no line can show."""
    if len(text) > (limit := LONGEST_KEY if key else LONGEST_TEXT):
        return f"has {len(text):,} characters; use at most {limit:,}"
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and (key or character not in "\n\t"):
            return f"has the character U+{ord(character):04X}, which cannot be shown; leave it out"
    return None


def bad_number(value: int | float) -> str | None:
    """What is wrong with a number that no text stands for: beyond 64 bits, or not finite."""
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else "is an integer beyond 64 bits; use a smaller one"
    return None if math.isfinite(value) else f"{value} is not a finite number; use one"


def shown(text: str) -> str:
    """A text as an error shows it, cut where it is long."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _integer(text: str, quoting: bool) -> str | None:
    try:
        value = 2**63 if len(text) > 100 else _value(INT, text)
    except ValueError:  # `0x_`
        return _said(text, "a number without digits", "", [], quoting)
    if bad_number(value):
        return _said(text, "an integer beyond 64 bits", "", ["a smaller number"], quoting)
    if _PLAIN_INT.fullmatch(text):
        return None
    why = next(why for pattern, why in _KINDS if pattern.match(text))
    digits = text.lstrip("+-").replace("_", "").lstrip("0")
    meant = [str(value)]
    if "octal" in why and digits and int(digits) != abs(value):
        meant.insert(0, ("-" if text.startswith("-") else "") + digits)
    return _said(text, str(value), why, meant, quoting)


def _float(text: str, quoting: bool) -> str | None:
    value = _value(FLOAT, text)
    if not math.isfinite(value):
        reading = "not a number" if math.isnan(value) else "infinite"
        return _said(text, reading, "", ["a finite number"], quoting)
    if _PLAIN_FLOAT.fullmatch(text):
        return None
    why = next(why for pattern, why in _KINDS if pattern.match(text))
    return _said(text, repr(value), why, [repr(value)], quoting)


def _value(tag: str, text: str) -> float:
    """What YAML 1.1 makes of the text of a number."""
    loader = yaml.SafeLoader("")
    node = yaml.ScalarNode(tag, text)
    value: float = loader.construct_yaml_int(node) if tag == INT else loader.construct_yaml_float(node)
    return value


def _truth(text: str) -> str:
    return "true" if text.lower() in ("y", "yes", "on") else "false"


def _looks_like(text: str) -> str | None:
    """The number that a text was meant for, as YAML 1.1 reads it; None for other texts."""
    if len(text) > SHOWN:
        return None
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return str(int(text))
    if _OCTAL_OF_1_2.fullmatch(text):
        return str(int(text, 8))
    if _PLAIN_FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return repr(float(text))
    return None


def _said(text: str, reading: str, why: str, meant: list[str], quoting: bool) -> str:
    because = f" ({why})" if why else ""
    ways = [*meant, f"'{shown(text)}' in quotes for a text"] if quoting else meant
    use = f"write {', or '.join(ways)}" if ways else "a text of this form can stand only in a file, in quotes"
    return f"{shown(text)} is {reading} to YAML{because}; {use}"
