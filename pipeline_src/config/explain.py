"""Validation errors as one line each: the file, the key path, what is wrong and what would be right."""

import difflib
import re
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

_KINDS = {
    "int": "an integer", "float": "a number", "string": "text", "bool": "true or false",
    "list": "a list", "dict": "a mapping", "model": "a mapping", "model_attributes": "a mapping",
}  # fmt: skip

KeyPath = tuple[str | int, ...]

MOST_FINDINGS = 500
"""Of one validation: more come of one slip in a long list, and each costs time."""
LONGEST_LINE = 1_000
KEPT = (600, 350)
"""Characters of a line of an error, and how many of a longer one stay at its two ends."""


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[list[str | int], str]]:
    """Yield `(key path, explanation)` for every finding, at most one for each key path.

    The key path has no union tags in it: it is what the user would write. Of a union's members,
    each of which finds something, those that see a wrong shape give way to one that sees a wrong key or
    what else is wrong with the right shape.
    """
    definite: dict[KeyPath, str] = {}
    shapes: dict[KeyPath, tuple[Any, list[str]]] = {}
    found: dict[KeyPath, None] = {}
    for finding in error.errors(include_url=False)[:MOST_FINDINGS]:
        path, annotation, parent = _locate(model, finding["loc"])
        if finding["type"].startswith("union_tag_"):
            path.append(finding["ctx"]["discriminator"].strip("'"))
        text, is_shape = _explain_one(finding, annotation, parent, path)
        if finding["type"] == "value_error" and (below := re.match(r"([a-z_]+(?:\.[a-z_]+)+): ", text)):
            path += parts_of(below[1])  # of options that do not go together, the key that it is about
            text = text.removeprefix(below[0])
        found[key := tuple(path)] = None
        if is_shape:
            shapes.setdefault(key, (finding["input"], []))[1].append(text)
        else:
            definite.setdefault(key, text)
    above = {key[:length] for key in found for length in range(len(key))}
    for key in found:
        if key in above:
            continue
        if key in definite:
            yield list(key), definite[key]
        else:
            value, texts = shapes[key]
            yield list(key), f"{value!r} is not allowed; use {' or '.join(dict.fromkeys(texts))}"


def dotted(path: list[str | int]) -> str:
    """`["studies", "dfp", "vary", 0]` as `studies.dfp.vary[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def parts_of(path: str) -> list[str | int]:
    """The same the other way round."""
    found = re.finditer(r"\[(\d+)\]|([^.\[\]]+)", path)
    return [int(one[1]) if one[1] else one[2] for one in found]


def one_of(values: Iterable[Any]) -> str:
    """`a, b or c`; `nothing` where there are none."""
    texts = [str(value) for value in values] or ["nothing"]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def suggest(value: str, known: Iterable[str]) -> str:
    """` (did you mean x?)`, or nothing."""
    close = difflib.get_close_matches(value, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def in_short(text: str) -> str:
    """A line of an error; a long one, which shows a long value, without its middle."""
    return text if len(text) <= LONGEST_LINE else f"{text[: KEPT[0]]} ... {text[-KEPT[1] :]}"


def _explain_one(
    finding: Any, annotation: Any, parent: type[BaseModel] | None, path: list[str | int]
) -> tuple[str, bool]:
    """The explanation; or, with True, only what would be allowed in place of the value."""
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = list(parent.model_fields) if parent else []
        return f"unknown key{suggest(str(path[-1]), allowed)}; allowed here: {', '.join(allowed)}", False
    if kind == "missing":
        field = parent.model_fields.get(str(path[-1])) if parent else None
        return "is missing" + (f"; it is: {field.description}" if field and field.description else ""), False
    if kind == "union_tag_not_found":
        return f"is missing; use {one_of(_tags(annotation))}", False
    if kind == "union_tag_invalid":
        known = context["expected_tags"].replace("'", "")
        return f"{context['tag']!r} is not allowed; use {one_of(known.split(', '))}", False
    if kind in ("value_error", "assertion_error"):
        return finding["msg"].removeprefix("Value error, "), False
    wanted = _wanted(annotation)
    return (finding["msg"], False) if wanted is None else (wanted, True)


def _wanted(annotation: Any) -> str | None:
    """What a field accepts, in words, from its type and bounds."""
    base, bounds = _unwrap(annotation)
    if get_origin(base) is Literal:
        return one_of(get_args(base))
    if get_origin(base) in (Union, types.UnionType):
        members = [_wanted(member) for member in get_args(base)]
        return one_of([member for member in members if member])
    if base is type(None):
        return "null"
    if isinstance(base, type) and issubclass(base, BaseModel):
        return f"a mapping with {', '.join(base.model_fields)}"
    origin = get_origin(base) or base
    name = {list: "list", dict: "dict", int: "int", float: "float", str: "string", bool: "bool"}.get(origin)
    if name is None:
        return None
    words = _KINDS[name]
    low, high = bounds.get("ge"), bounds.get("le")
    if low is not None and high is not None:
        words += f" from {low} to {high}"
    else:
        for key, text in (("gt", "above"), ("ge", "of at least"), ("lt", "below"), ("le", "of at most")):
            if bounds.get(key) is not None:
                words += f" {text} {bounds[key]}"
    if bounds.get("min_length") is not None and bounds.get("min_length") == bounds.get("max_length"):
        words += f" of {bounds['min_length']} values"
    elif bounds.get("min_length"):
        words += f" of at least {bounds['min_length']}"
    if bounds.get("pattern"):
        words += f" that matches {bounds['pattern']}"
    return words


def _unwrap(annotation: Any, metadata: tuple[Any, ...] = ()) -> tuple[Any, dict[str, Any]]:
    """Strip `Annotated` and collect the constraints that stand in it."""
    while get_origin(annotation) is Annotated:
        metadata = (*metadata, *annotation.__metadata__)
        annotation = annotation.__origin__
    bounds: dict[str, Any] = {}
    for item in metadata:
        for source in (item, *getattr(item, "metadata", ())):
            for key in ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern"):
                if getattr(source, key, None) is not None:
                    bounds[key] = getattr(source, key)
    return annotation, bounds


def _locate(
    model: type[BaseModel], location: tuple[str | int, ...]
) -> tuple[list[str | int], Any, type[BaseModel] | None]:
    """Follow pydantic's location through the models; drops union tags and class names from it."""
    path: list[str | int] = []
    annotation: Any = model
    parent: type[BaseModel] | None = None
    keys: Any = None
    for part in location:
        member = _union_member(annotation, part)
        if member is not None:
            annotation = member
            continue
        base, _ = _unwrap(annotation)
        while get_origin(base) in (Union, types.UnionType):
            candidates = [m for m in get_args(base) if _accepts(m, part)]
            base, _ = _unwrap(candidates[0] if candidates else get_args(base)[0])
        if part == "[key]":  # a key itself, which the path has already
            return path, keys, None
        path.append(part)
        keys = get_args(base)[0] if get_origin(base) is dict else None
        parent, annotation = _step(base, part)
    return path, annotation, parent


def _accepts(annotation: Any, part: str | int) -> bool:
    base, _ = _unwrap(annotation)
    if isinstance(base, type) and issubclass(base, BaseModel):
        return part in base.model_fields
    return get_origin(base) in (dict, list)


def _step(base: Any, part: str | int) -> tuple[type[BaseModel] | None, Any]:
    if isinstance(base, type) and issubclass(base, BaseModel):
        field = base.model_fields.get(str(part))
        if field is None:
            return base, None
        annotation = field.annotation
        return base, Annotated[(annotation, *field.metadata)] if field.metadata else annotation
    arguments = get_args(base)
    if get_origin(base) is dict:
        return None, arguments[1]
    if get_origin(base) is list:
        return None, arguments[0]
    return None, None


def _union_member(annotation: Any, part: str | int) -> Any | None:
    """The union member that pydantic names in a location by its tag, class name or type."""
    base, _ = _unwrap(annotation)
    if get_origin(base) not in (Union, types.UnionType):
        return None
    for member in get_args(base):
        inner, _ = _unwrap(member)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            # a model with checks of its own is called `function-after[check(), Model]`
            if part == inner.__name__ or part in _tags(inner) or str(part).endswith(f", {inner.__name__}]"):
                return inner
        elif isinstance(part, str) and part.partition("[")[0] == _type_label(inner):
            return inner
    return None


def _type_label(annotation: Any) -> str:
    """How pydantic begins to write a non-model union member in a location, `list` of `list[str]`."""
    if get_origin(annotation) is Literal:
        return "literal"
    return getattr(get_origin(annotation) or annotation, "__name__", "")


def _tags(annotation: Any) -> list[str]:
    """Values of the discriminating field (`kind` or `format`) of a model or of a union of models."""
    base, _ = _unwrap(annotation)
    if get_origin(base) in (Union, types.UnionType):
        return [tag for member in get_args(base) for tag in _tags(member)]
    if isinstance(base, type) and issubclass(base, BaseModel):
        for name in ("kind", "format"):
            field = base.model_fields.get(name)
            if field is not None and get_origin(field.annotation) is Literal:
                return [str(value) for value in get_args(field.annotation)]
    return []
