"""Options as dataclasses that are stated once; standard library only.

A component, a recipe or a job states its options as a frozen dataclass. The configuration makes its
checked section from it (`config/sections.py`), and a step reads the same dataclass from its job file,
on a machine that has no configuration library.

    @dataclass(frozen=True)
    class Options:
        channels: PositiveInt = option(512, "Channels of every convolution.")
        pool_scales: list[PositiveInt] = option([1, 2, 3, 6], "Sides of the grids.", min_length=1)

Options that do not go together raise `ValueError` in `__post_init__`, with one line for the user.
"""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline_src.errors import InputError

T = TypeVar("T")
REQUIRED: Any = object()
"""In place of a default: the user has to say it."""


@dataclass(frozen=True)
class Bounds:
    """What a value must keep to; stands in `Annotated`, or as keywords of `option`."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    def given(self) -> dict[str, Any]:
        """The bounds that are set, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """How pydantic, where the configuration has it, checks a value of an annotated type."""
        return {**handler(source), **self.given()}


PositiveInt = Annotated[int, Bounds(gt=0)]
NonNegativeInt = Annotated[int, Bounds(ge=0)]
PositiveFloat = Annotated[float, Bounds(gt=0)]
NonNegativeFloat = Annotated[float, Bounds(ge=0)]
Fraction = Annotated[float, Bounds(ge=0, le=1)]
Pair = Annotated[list[PositiveInt], Bounds(min_length=2, max_length=2)]
Level = Annotated[int, Bounds(ge=2, le=8)]
"""Number of a feature map: C2 to C5, of nominal stride 4 to 32; C6 to C8 are of stages that IPG adds."""
Rgb = Annotated[list[float], Bounds(min_length=3, max_length=3)]
Sha256 = Annotated[str, Bounds(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Bounds(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that becomes part of a path: letters, digits, `_`, `.`, `-`."""


Use = Literal["always", "inference", "choice"]
"""Where an option counts: `always`; in `inference` and not in a training; or only in the `choice` of results
from what a network gives, so that it changes no cost either."""


def option(default: Any, description: str, used: Use = "always", **bounds: Any) -> Any:
    """A field of an options dataclass; `bounds` are those of `Bounds`, `REQUIRED` stands for no default."""
    metadata = {"description": description, "used": used, "bounds": Bounds(**bounds)}
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, list | dict | set):
        return dataclasses.field(default_factory=lambda: _copy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def checked(cls: type[T], **values: Any) -> T:
    """The options `cls(**values)`, for callers that no configuration has checked.

    Raises `InputError` that names the option for a value that is not one of its choices or out of bounds.
    """
    found = cls(**values)
    hints = get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(found):  # type: ignore[arg-type]
        value = getattr(found, field.name)
        _check(field.name, value, hints[field.name], field.metadata.get("bounds", Bounds()))
    return found


def _check(name: str, value: Any, annotation: Any, bounds: Bounds) -> None:
    """Refuse a value that is not one of the choices of a type, or that does not keep to its bounds."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        for one in more:
            _check(name, value, annotation, one)
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    if value is None and type(None) in members:
        return
    for member in members:
        if get_origin(member) is Literal and len(members) == 1 and value not in get_args(member):
            raise InputError(f"{name}: {value!r}; allowed: {', '.join(map(str, get_args(member)))}")
        if get_origin(member) is Annotated and (len(members) == 1 or type(None) in members):
            _check(name, value, member, Bounds())
        if get_origin(member) is list and isinstance(value, list | tuple):
            for entry in value:
                _check(name, entry, get_args(member)[0], Bounds())
    given = bounds.given()
    size = {"min_length": lambda low: len(value) < low, "max_length": lambda high: len(value) > high}
    wrong = {
        "gt": lambda low: value <= low, "ge": lambda low: value < low,
        "lt": lambda high: value >= high, "le": lambda high: value > high, **size,
    }  # fmt: skip
    for key, limit in given.items():
        if key in wrong and wrong[key](limit):
            shown = list(value) if isinstance(value, tuple) else value
            words = {
                "gt": "above", "ge": "at least", "lt": "below", "le": "at most",
                "min_length": "a length of at least", "max_length": "a length of at most",
            }[key]  # fmt: skip
            raise InputError(f"{name}: {shown!r} is not allowed; it needs {words} {limit}")


def without_uses(cls: type, value: Mapping[str, Any], *uses: Use) -> dict[str, Any]:
    """A JSON mapping of `cls` without the options that are only `used` in these ways, at any depth."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    kept = {}
    for name, entry in value.items():
        if name in fields and fields[name].metadata.get("used") in uses:
            continue
        inner = _types(cls).get(name)
        nested = isinstance(inner, type) and dataclasses.is_dataclass(inner) and isinstance(entry, Mapping)
        kept[name] = without_uses(inner, entry, *uses) if nested else entry  # type: ignore[arg-type]
    return kept


def to_json(value: Any) -> Any:
    """A dataclass as the JSON value that `from_json` reads; what it holds of plain values is not copied."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    return {key: to_json(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def from_json(cls: type[T], value: Any, where: str = "", part: bool = False) -> T:
    """The dataclass `cls` of a JSON mapping, nested ones included; keys that are left out get their default.

    With `part`, keys that `cls` does not have are for other readers of the mapping; nested mappings are
    read as a whole. Raises `InputError` for a key that a class does not have, for one that is missing, for
    a value that is no mapping and for one that is not among several choices; it begins with `where`
    (default: the name of `cls`) and the path below it.
    """
    where = where or cls.__name__
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: {value!r} is no mapping")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(value) - set(fields))
    if unknown and not part:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; it has {', '.join(sorted(fields))}")
    missing = [name for name in required(cls) if name not in value]  # type: ignore[arg-type]
    if missing:
        raise InputError(f"{where}.{missing[0]} is missing")
    hints = _types(cls)  # type: ignore[arg-type]
    given = {name: _read(hints[name], value[name], f"{where}.{name}") for name in fields if name in value}
    return cls(**given)


@cache
def _types(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def required(cls: type) -> list[str]:
    """The fields of a dataclass that have no default."""
    fields = dataclasses.fields(cls)
    return [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]


def _read(annotation: Any, value: Any, where: str) -> Any:
    """A JSON value as a field of this type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if value is None:
        return None
    if origin is Annotated:
        return _read(arguments[0], value, where)
    if origin in (Union, types.UnionType):
        return _read(_member(arguments, value, where), value, where)
    if origin is Literal and value not in arguments:
        raise InputError(f"{where}: {value!r}; allowed: {', '.join(map(str, arguments))}")
    if dataclasses.is_dataclass(annotation):
        return from_json(annotation, value, where)  # type: ignore[arg-type]
    if origin is dict and isinstance(value, dict):
        return {key: _read(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}
    if origin in (list, tuple) and isinstance(value, list):
        return origin(_read(arguments[0], entry, f"{where}[{n}]") for n, entry in enumerate(value))
    return value


def _member(members: tuple[Any, ...], value: Any, where: str) -> Any:
    """The member of a union that a JSON value is of."""
    containers = {get_origin(member): member for member in members}
    classes = [member for member in members if dataclasses.is_dataclass(member)]
    if isinstance(value, list):
        return containers.get(list, containers.get(tuple, object))
    if isinstance(value, dict) and dict not in containers and classes:
        known = [kind for one in classes for kind in kinds_of(one)]  # type: ignore[arg-type]
        if known and "kind" in value:
            _read(Literal[tuple(known)], value["kind"], f"{where}.kind")
        return class_of(classes, value)  # type: ignore[arg-type]
    return containers.get(dict, object) if isinstance(value, dict) else object


def class_of(classes: Sequence[type], value: Mapping[str, Any]) -> type:
    """The dataclass of several that a mapping is of: by its `kind`, or by a key that this class alone needs.

    It is the first one where neither is there.
    """
    for one in classes:
        if "kind" in value and value["kind"] in kinds_of(one):
            return one
    for one in classes:
        others = {name for other in classes if other is not one for name in _names(other)}
        if any(name in value for name in required(one) if name not in others):
            return one
    return classes[0]


def _names(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def kinds_of(cls: type) -> tuple[str, ...]:
    """The values of a dataclass's `kind: Literal[...]`, empty without one."""
    annotation = _types(cls).get("kind")
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _copy(value: Any) -> Any:
    if isinstance(value, list | set):
        return type(value)(_copy(entry) for entry in value)
    return {key: _copy(entry) for key, entry in value.items()} if isinstance(value, dict) else value
