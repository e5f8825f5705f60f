"""Dataclasses from JSON: what the planner wrote, as the step that reads it declares it."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline_src.errors import InputError

Kind = TypeVar("Kind")


def read_as(kind: type[Kind], value: Any, where: str) -> Kind:
    """A dataclass from a mapping of its fields, dataclasses in it included; sequences become tuples where
    the field says so. Keys that are null and that the class does not know are left out.

    Raises `InputError` that names the key that is missing or unknown; `where` is what it begins with.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: {value!r} is no section")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if unknown := [key for key in value if key not in known and value[key] is not None]:
        raise InputError(f"{where}.{unknown[0]}: is unknown; known: {', '.join(known)}")
    needed = [name for name, one in known.items() if one.default is one.default_factory is MISSING]
    if missing := [name for name in needed if name not in value]:
        raise InputError(f"{where}.{missing[0]}: is missing")
    hints = get_type_hints(kind)
    given = {name: _read(hints[name], value[name], f"{where}.{name}") for name in known if name in value}
    return kind(**given)


def _read(hint: Any, value: Any, where: str) -> Any:
    if value is None:
        return None
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return read_as(hint, value, where)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        (inner, *others) = [one for one in arguments if one is not types.NoneType]
        return value if others else _read(inner, value, where)
    if origin in (list, tuple) and isinstance(value, list):
        inner = arguments[0] if origin is list or arguments[-1] is ... else Any
        return origin(_read(inner, one, f"{where}.{index}") for index, one in enumerate(value))
    return value
