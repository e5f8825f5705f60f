"""From an options dataclass (`pipeline_src/options.py`) to the section of `params.yaml` that it describes."""

import dataclasses
import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import Discriminator, Field, Tag, create_model, model_validator

from pipeline_src.config.strict_model import Section
from pipeline_src.errors import InputError
from pipeline_src.options import Bounds, class_of, from_json, kinds_of


class OptionsSection(Section):
    """A section whose fields are those of a dataclass; `given` is what it says, as that dataclass."""

    def given(self) -> Any:
        """The options dataclass with this section's values; raises `ValueError` where they disagree."""
        raise NotImplementedError(type(self).__name__)


@cache
def section_of(options: type, kind: str | None = None, tag: str = "kind") -> type[OptionsSection]:
    """The section of a dataclass of options; with `kind`, a first field `tag` has just this value."""
    hints = get_type_hints(options, include_extras=True)
    documentation = (options.__doc__ or "").strip()
    fields: dict[str, Any] = {}
    if kind is not None:
        fields[tag] = (
            Literal[kind],
            Field(description=documentation.splitlines()[0] if documentation else ""),
        )
    for field in dataclasses.fields(options):
        bounds = field.metadata.get("bounds", Bounds()).given()
        settings: dict[str, Any] = {"description": field.metadata.get("description"), **bounds}
        annotation = _checked(hints[field.name])
        if field.default_factory is not dataclasses.MISSING:
            make = field.default_factory
            settings["default_factory"] = lambda make=make: _as_section(make())
        elif field.default is not dataclasses.MISSING:
            settings["default"] = _as_section(field.default)
        fields[field.name] = (annotation, Field(**settings))

    def given(self: OptionsSection) -> Any:
        values = self.model_dump(exclude={tag} if kind is not None else None)
        return from_json(options, values)

    def consistent(self: OptionsSection) -> OptionsSection:
        try:
            self.given()
        except (InputError, ValueError):
            raise
        except Exception as error:
            text = " ".join(str(error).split())
            raise ValueError(f"{options.__name__} cannot take this: {type(error).__name__}: {text}") from None
        return self

    check: Any = model_validator(mode="after")(consistent)
    made = create_model(
        options.__name__ if kind is None else f"{options.__qualname__.replace('.', '')}_{kind}",
        __base__=OptionsSection,
        __doc__=documentation or None,
        __validators__={"_consistent": check},
        **fields,
    )
    made.given = given  # type: ignore[method-assign]
    return made


def _checked(annotation: Any) -> Any:
    """A type with its dataclasses as sections."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[(_checked(arguments[0]), *arguments[1:])]
    if origin in (Union, types.UnionType):
        classes = tuple(member for member in arguments if dataclasses.is_dataclass(member))
        if len(classes) > 1:
            others = (_checked(member) for member in arguments if member not in classes)
            return Union[(_told_apart(classes), *others)]  # type: ignore[arg-type]
        return Union[tuple(_checked(member) for member in arguments)]  # noqa: UP007
    if dataclasses.is_dataclass(annotation):
        return section_of(annotation)  # type: ignore[arg-type]
    if origin in (list, dict, tuple) and arguments:
        return origin[tuple(arg if arg is Ellipsis else _checked(arg) for arg in arguments)]
    return annotation


def _told_apart(classes: tuple[type, ...]) -> Any:
    """A choice between dataclasses: by their `kind`, or by a key that one of them alone needs."""

    def tag(value: Any) -> str:
        if isinstance(value, Section):
            return type(value).__name__
        return class_of(classes, value if isinstance(value, Mapping) else {}).__name__

    if all(kinds_of(one) for one in classes):
        sections = tuple(section_of(one) for one in classes)
        return Annotated[Union[sections], Field(discriminator="kind")]  # noqa: UP007
    members = tuple(Annotated[section_of(one), Tag(one.__name__)] for one in classes)
    return Annotated[Union[members], Discriminator(tag)]  # noqa: UP007


def _as_section(value: Any) -> Any:
    """A default with its dataclasses as sections."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = section_of(type(value))
        return made.model_validate(dataclasses.asdict(value))
    if isinstance(value, list | tuple):
        return [_as_section(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: _as_section(entry) for key, entry in value.items()}
    return value
