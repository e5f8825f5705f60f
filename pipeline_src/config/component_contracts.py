"""What a user's own component must be, and that what planning asks of it gives what its contract says.

A contract is a class of the package. The annotations of its class attributes and the return annotations of
its static and class methods say what a component has and gives; `fits` compares a value with one of them.
"""

import dataclasses
import functools
import inspect
import re
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pipeline_src.config.sections import section_of
from pipeline_src.config.stand_in_packages import StandIn
from pipeline_src.errors import InputError
from pipeline_src.options import Bounds

OPTIONS = ("Options", "Split", "Auxiliary")
"""The attributes of contracts that are dataclasses of options."""

SHOWN = 100
"""Letters of a wrong value that a message shows."""


class BrokenContract(InputError):
    """A component that does not do as its contract says; the message names it, wherever that was found."""


def check_contract(found: Any, base: type) -> None:
    """Refuse what is no complete subclass of `base`, or no instance where `base` is a dataclass.

    Raises `InputError`.
    """
    cls = found if isinstance(found, type) else type(found)
    name = getattr(found, "__name__", type(found).__name__)
    if not issubclass(cls, base):
        place = base.__module__.removeprefix("declared:")
        raise InputError(f"{name} must inherit from {base.__name__} ({place}.{base.__name__})")
    wants_instance = dataclasses.is_dataclass(base)
    if wants_instance is isinstance(found, type):
        other = "a class; name an instance" if wants_instance else "an instance; name its class"
        raise InputError(f"{name} is {other}")
    for missing in sorted(getattr(cls, "__abstractmethods__", ())):
        raise InputError(
            f"{name} lacks {missing}, which every {base.__name__} has: {_said(getattr(base, missing))}"
        )
    if wants_instance:
        for field, wanted in get_type_hints(base).items():
            _check_attribute(f"{name}.{field}", getattr(found, field), wanted)
    for one in base.__mro__:
        for attribute, wanted in inspect.get_annotations(one).items():
            if attribute in OPTIONS:
                _check_options(name, attribute, getattr(cls, attribute, None), wanted)
            elif get_origin(wanted) is ClassVar:
                if not hasattr(cls, attribute):
                    raise InputError(f"{name} lacks {attribute}, which is {spelled(wanted)}")
                _check_attribute(f"{name}.{attribute}", getattr(cls, attribute), wanted)


def _check_attribute(name: str, value: Any, wanted: Any) -> None:
    if not fits(value, wanted):
        raise InputError(f"{name} is {shown(value)}; it must be {spelled(wanted)}")


def _check_options(name: str, attribute: str, options: Any, wanted: Any) -> None:
    """Refuse an attribute that is no dataclass of options, of the class that its annotation names."""
    (kind,) = get_args(wanted)
    if options is None and NoneType in get_args(kind):
        return
    if not dataclasses.is_dataclass(options) or not isinstance(options, type):
        raise InputError(f"{name} lacks {attribute}, a frozen dataclass of its options ({spelled(wanted)})")
    least = get_args(kind)
    if get_origin(kind) is type and isinstance(least[0], type) and not issubclass(options, least[0]):
        raise InputError(f"{name}.{attribute} must extend {least[0].__module__}.{least[0].__name__}")
    try:
        section_of(options)
    except Exception as error:
        raise InputError(f"{name}.{attribute} cannot be a section of params.yaml: {raised(error)}") from None


@cache
def guarded(found: type, base: type, where: str, file: str) -> Any:
    """The class `found` for planning: what it gives is compared with its contract `base`.

    A method that raises, or gives anything else than its return annotation in `base` says, is a
    `BrokenContract` that begins with `where` and names the method; an `InputError` is passed on.
    """
    methods = {
        name: member
        for one in reversed(base.__mro__)
        for name, member in vars(one).items()
        if isinstance(member, staticmethod | classmethod) and not name.startswith("_")
    }
    own = {name: staticmethod(_asked(found, name, one, where, file)) for name, one in methods.items()}
    return type(found)(
        found.__name__,
        (found,),
        {"__doc__": found.__doc__, "__module__": found.__module__, "__qualname__": found.__qualname__, **own},
    )


def _asked(found: type, name: str, contract: Any, where: str, file: str) -> Callable[..., Any]:
    """The method `name` of `found`, compared with that of its contract."""
    wanted = inspect.get_annotations(contract.__func__).get("return", Any)
    called = f"{where}: {found.__name__}.{name}"
    gives = f"it must give {spelled(wanted)}: {_said(contract.__func__)}"

    @functools.wraps(contract.__func__)
    def ask(*arguments: Any, **options: Any) -> Any:
        method = getattr(found, name)
        if not callable(method):
            raise BrokenContract(f"{called} is {shown(method)} and no method; {gives}")
        try:
            value = method(*arguments, **options)
            if get_origin(wanted) is Iterator and isinstance(value, Iterator):
                value = list(value)
        except InputError:
            raise
        except Exception as error:
            raise BrokenContract(f"{called} raised {raised(error, file)}; {gives}") from None
        if not fits(value, wanted):
            raise BrokenContract(f"{called} gave {shown(value)}; {gives}")
        return iter(value) if get_origin(wanted) is Iterator else value

    return ask


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is what an annotation says; lists and tuples stand for each other.

    What is only known by a stand-in is taken as it is. `dict[str, Any]` goes into a job file: JSON.
    """
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted is Any or isinstance(wanted, str | StandIn):
        return True
    if wanted is None:
        return value is None
    if origin is ClassVar:
        return fits(value, arguments[0])
    if origin is Annotated:
        shortest = max((one.min_length or 0 for one in arguments[1:] if isinstance(one, Bounds)), default=0)
        return fits(value, arguments[0]) and (not shortest or len(value) >= shortest)
    if origin in (Union, UnionType):
        return any(fits(value, member) for member in arguments)
    if origin is Literal:
        return value in arguments
    if origin is type:
        return isinstance(value, type | StandIn)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(key, arguments[0]) and (_is_json(one) if arguments[1] is Any else fits(one, arguments[1]))
            for key, one in value.items()
        )
    if origin is tuple and arguments[-1] is not Ellipsis:
        return (
            isinstance(value, list | tuple)
            and len(value) == len(arguments)
            and all(map(fits, value, arguments))
        )
    if origin in (list, tuple, Sequence, Collection, Iterator):
        return isinstance(value, list | tuple) and all(fits(one, arguments[0]) for one in value)
    if wanted is Callable or origin is Callable:
        return callable(value)
    if wanted in (int, float):
        return isinstance(value, int if wanted is int else int | float) and not isinstance(value, bool)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return isinstance(value, wanted) and all(
            fits(getattr(value, field), annotation) for field, annotation in get_type_hints(wanted).items()
        )
    return not isinstance(wanted, type) or isinstance(value, wanted)


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float)


def spelled(annotation: Any) -> str:
    """An annotation as one would write it, without modules."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is ClassVar:
        return spelled(arguments[0])
    if origin is Annotated:
        return f"{spelled(arguments[0])}, not empty"
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+", "", inspect.formatannotation(annotation))


def shown(value: Any) -> str:
    """A value in one line, shortened."""
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def raised(error: BaseException, file: str | None = None) -> str:
    """An exception in one line, with the last line of `file` that led to it."""
    text = " ".join(str(error).split())
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == file]
    place = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}{f': {text}' if text else ''}{place}"


def _said(function: Any) -> str:
    """The first line of what a contract says of a method."""
    return (inspect.getdoc(function) or "").partition("\n")[0]
