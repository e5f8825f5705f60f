"""The `datasets` section: what the data sets are and how they are split.

What a format can be told stands in its reader (`pipeline_src/data/readers/`), from which the sections here
are made.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import Field, create_model

from pipeline_src.components import COMPONENTS
from pipeline_src.config.component_declarations import component
from pipeline_src.config.explain import one_of
from pipeline_src.config.path_lengths import bad_path
from pipeline_src.config.sections import OptionsSection, section_of
from pipeline_src.config.sources import ArchivesSource, FolderSource, ScenesSource
from pipeline_src.data.fetch_params import DescribeData
from pipeline_src.data.readers.reader import Finding, Reader
from pipeline_src.tasks.table import TASKS

SCENE_CLASSES = 20
"""Object classes that the scene generator can draw."""
SOURCES = {"archives": ArchivesSource, "scenes": ScenesSource, "folder": FolderSource}


class Dataset(OptionsSection):
    """One entry of `datasets`; a format's own section adds its options."""

    reader: ClassVar[type[Reader]]

    format: str
    source: Any
    splits: Any
    title: str | None

    @property
    def options(self) -> Any:
        """The format's options, as its reader takes them."""
        return self.reader.Options(**{name: getattr(self, name) for name in _fields(self.reader.Options)})

    def given(self) -> Any:
        """The same; raises `ValueError` where they disagree."""
        return self.options

    @property
    def classes_by_id(self) -> list[str]:
        """Class names by training id; generated scenes have the format's first classes, class 0 the
        background or what takes its place, class c object class c.
        """
        classes = self.reader.classes(self.options)
        if isinstance(self.source, ScenesSource) and getattr(self, "classes", None) is None:
            return classes[: self.source.classes + 1]
        return classes

    def described(self, key: str) -> tuple[DescribeData, dict[str, Any]]:
        """What the manifest job is told of the data set `key`, and what its reader says of its labels."""
        classes = self.classes_by_id
        data = DescribeData(
            dataset=key,
            format=self.format,
            splits={
                name: self.reader.spec(self.options, split.given()) for name, split in self.splits.items()
            },
            num_classes=len(classes),
            classes=classes,
        )
        return data, self.reader.labels(self.options, classes)

    def findings(self) -> Iterator[Finding]:
        """What does not go together in this entry."""
        classes, source = self.classes_by_id, self.source
        if doubled := sorted(name for name, times in Counter(classes).items() if times > 1):
            yield ["classes"], f"{doubled[0]!r} stands twice; every class needs a name of its own"
        task = TASKS[self.reader.task]
        if task.most_classes is not None and len(classes) > task.most_classes:
            yield (
                ["classes"],
                f"has {len(classes):,} classes; {task.annotations} tell at most {task.most_classes} apart",
            )
        if set(self.splits) != {"train", "val"}:
            yield ["splits"], f"has only {one_of(self.splits)}; it needs train and val"
        for name, split in self.splits.items():
            for field, value in split.model_dump().items():
                if isinstance(value, str) and (wrong := bad_path(value)):
                    yield ["splits", name, field], wrong
        archives = source.names if isinstance(source, ArchivesSource) else None
        splits = {name: split.given() for name, split in self.splits.items()}
        yield from self.reader.check(self.options, splits, archives)
        if isinstance(source, ScenesSource):
            yield from self._scene_findings(source)
        if isinstance(source, FolderSource) and not source.root.strip():
            yield ["source", "root"], "is empty; name the folder that holds your data"

    def _scene_findings(self, source: ScenesSource) -> Iterator[Finding]:
        if f"scenes.{self.reader.scene_layout}" not in COMPONENTS:
            yield ["source", "kind"], f"no scenes can be drawn for {self.format}; use another kind of source"
        known = self.reader.scene_splits
        if missing := set(self.splits) - set(source.images):
            yield ["source", "images"], f"says nothing of split {one_of(sorted(missing))}"
        if unknown := sorted(set(source.images) - set(known)):
            yield (
                ["source", "images"],
                f"{unknown[0]!r} is no split of {self.format} scenes; use {one_of(known)}",
            )
        most = min(SCENE_CLASSES, len(self.reader.classes(self.reader.Options())) - 1)
        if source.classes > most:
            yield (
                ["source", "classes"],
                f"{source.classes} is too many; {self.format} scenes have at most {most}",
            )


@cache
def dataset_section(outside: tuple[tuple[str, str], ...] = ()) -> Any:
    """The type of an entry of `datasets`: a choice by `format`, with the user's own readers of `outside`."""
    known = dict(outside)
    kinds = [kind for kind in (*COMPONENTS, *known) if kind.startswith("reader.")]
    sections = tuple(_section(kind.split(".", 1)[1], component(kind, known)) for kind in kinds)
    return Annotated[Union[sections], Field(discriminator="format")]  # noqa: UP007


def _section(name: str, reader: type[Reader]) -> Any:
    base: Any = section_of(reader.Options, name, "format")
    sources = tuple(SOURCES[kind] for kind in reader.source_kinds)
    described = Field(
        description="Where the files come from.", discriminator="kind" if len(sources) > 1 else None
    )
    splits: Any = dict[Literal["train", "val"], section_of(reader.Split)]  # type: ignore[misc]
    fields: dict[str, Any] = {
        "source": (Union[sources], described),  # noqa: UP007
        "splits": (splits, Field(description="What to train and to evaluate on.")),
        "title": (str | None, Field(default=None, description="What papers call it; stands under tables.")),
    }
    made: Any = create_model(reader.__name__, __base__=(base, Dataset), __doc__=base.__doc__, **fields)
    made.reader, made.given = reader, Dataset.given
    return made


def _fields(options: type) -> list[str]:
    return list(options.__dataclass_fields__)  # type: ignore[attr-defined]
