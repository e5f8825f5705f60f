"""The entries of a study's `figures`: what all kinds share, with the options that each kind declares."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union

from pydantic import Field, create_model

from pipeline_src.components import COMPONENTS
from pipeline_src.config.component_declarations import component
from pipeline_src.config.sections import section_of
from pipeline_src.config.strict_model import Section
from pipeline_src.options import Name, from_json


class FigureSection(Section):
    """One figure of a study."""

    kind: str
    subject: Name = Field(description="Names the file `<study>_<subject>`.")
    title: str = Field(description="Caption.")
    rows: list[str] | None = Field(
        default=None,
        description="Labels of the rows that it shows; null: all, or the first and the last where a kind "
        "shows pictures.",
    )
    on_demand: bool = Field(
        default=False, description="Drawn only where its file is asked for, and not part of the report."
    )

    def given(self) -> Any:
        """The options of the figure's kind, as the dataclass that declares them."""
        raise NotImplementedError(type(self).__name__)


def figure_kinds(task: str | None, outside: Mapping[str, str]) -> list[str]:
    """The kinds of figures that a study of `task` can have; None: all kinds."""
    names = [name for name in (*COMPONENTS, *outside) if name.startswith("figure.")]
    tasks = {name.partition(".")[2]: component(name, outside).tasks for name in names}
    return [kind for kind, only in tasks.items() if not only or task is None or task in only]


def figure_sections(outside: Mapping[str, str]) -> Any:
    """The type of an entry of `figures`: one section a kind, those of the user's own included."""
    sections = [_section(kind, component(f"figure.{kind}", outside)) for kind in figure_kinds(None, outside)]
    return Annotated[Union[tuple(sections)], Field(discriminator="kind")]  # noqa: UP007


@cache
def _section(name: str, kind: Any) -> type[FigureSection]:
    """The section of one kind of figure."""
    options = section_of(kind.Options)
    documentation = (kind.__doc__ or "").strip()
    description = documentation.partition("\n")[0].partition("`: ")[2] or documentation
    shared = set(FigureSection.model_fields)

    def given(self: FigureSection) -> Any:
        return from_json(kind.Options, self.model_dump(exclude=shared))

    said: Any = (Literal[name], Field(description=description))
    made: Any = create_model(
        f"Figure_{name}", __base__=(FigureSection, options), __doc__=FigureSection.__doc__, kind=said
    )
    made.given = given
    return made
