"""Validation errors as one line each: the file, the key path, what is wrong and what would be right."""

import difflib
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

_KINDS = {
    "int": "an integer", "float": "a number", "string": "text", "bool": "true or false",
    "list": "a list", "dict": "a mapping", "model": "a mapping", "model_attributes": "a mapping",
}  # fmt: skip

MOST_FINDINGS = 500
"""Of one validation: more come of one slip in a long list, and each costs time."""
LONGEST_LINE = 1_000
KEPT = (600, 350)
"""Characters of a line of an error, and how many of a longer one stay at its two ends."""


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[list[str | int], str]]:
    """Yield `(key path, explanation)` for every finding, at most one for each key path.

    The key path has no union tags in it: it is what the user would write. Of a union's members,
    each of which finds something, those that see a wrong shape give way to one that sees a wrong key.
    """
    findings: dict[tuple[str | int, ...], list[str]] = {}
    values: dict[tuple[str | int, ...], Any] = {}
    for finding in error.errors(include_url=False)[:MOST_FINDINGS]:
        path, annotation, parent = _locate(model, finding["loc"])
        if finding["type"].startswith("union_tag_"):
            path.append(finding["ctx"]["discriminator"].strip("'"))
        text, is_shape = _explain_one(finding, annotation, parent, path)
        if is_shape:
            values[tuple(path)] = finding["input"]
        findings.setdefault(tuple(path), []).append(text)
    above = {key[:length] for key in findings for length in range(len(key))}
    for key, texts in findings.items():
        if key in above:
            continue
        if key in values:
            yield list(key), f"{values[key]!r} is not allowed; use {' or '.join(dict.fromkeys(texts))}"
        else:
            yield list(key), texts[0]


def dotted(path: list[str | int]) -> str:
    """`["studies", "dfp", "vary", 0]` as `studies.dfp.vary[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def one_of(values: Iterable[Any]) -> str:
    """`a, b or c`."""
    texts = [str(value) for value in values]
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
    return _wanted(annotation) or finding["msg"], True


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
    for part in location:
        member = _union_member(annotation, part)
        if member is not None:
            annotation = member
            continue
        base, _ = _unwrap(annotation)
        while get_origin(base) in (Union, types.UnionType):
            candidates = [m for m in get_args(base) if _accepts(m, part)]
            base, _ = _unwrap(candidates[0] if candidates else get_args(base)[0])
        path.append(part)
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
            if part == inner.__name__ or part in _tags(inner):
                return inner
        elif isinstance(part, str) and part == _type_label(inner):
            return inner
    return None


def _type_label(annotation: Any) -> str:
    """How pydantic writes a non-model union member in a location, such as `list[str]`."""
    if get_origin(annotation) is Literal:
        return f"literal[{','.join(repr(value) for value in get_args(annotation))}]"
    if get_origin(annotation) is None:
        return getattr(annotation, "__name__", "")
    arguments = ",".join("any" if a is Any else _type_label(_unwrap(a)[0]) for a in get_args(annotation))
    return f"{get_origin(annotation).__name__}[{arguments}]"


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
