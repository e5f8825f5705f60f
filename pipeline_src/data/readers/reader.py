"""The contract of a reader: all that is known of a data format, in one class. Standard library only.

A reader of your own is such a class in a file of yours, named in `params.yaml`
(`components: {reader.mine: "my_ideas/reader.py:MyReader"}`); data sets can then have `format: mine`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pipeline_src.data.records import SplitListing
from pipeline_src.options import Bounds

Finding = tuple[list[str], str]
"""A key path below the data set's entry, and what is wrong there."""

SourceKind = Literal["archives", "scenes", "folder"]
"""Where the files of a data set may come from."""


@dataclass(frozen=True)
class Server:
    """An evaluation server with hidden labels: what it tests on, and what its submission is called.

    `archives` hold the test images; `default` is the list of them that is predicted unless another one is
    asked for. `lists` are those that the server tests on, with the server's own names; None: those of the
    folder. `archive` and `sidecar` are the files' names, from the run's `{name}` and the `{list}`.
    """

    name: str
    archives: tuple[str, ...]
    archive: str
    sidecar: str = "{name}.json"
    default: str = "test"
    lists: Mapping[str, str] | None = None


class Reader(ABC):
    """A data format; `mask_reader.py` and `box_reader.py` say what the tasks add."""

    Options: ClassVar[type]
    """Frozen dataclass of a data set's options (`pipeline_src.options`), beside format, source and splits."""

    Split: ClassVar[type]
    """Frozen dataclass of the options of a split."""

    task: ClassVar[str]
    """What a network learns from the records: the name of a folder in `tasks`."""

    names: ClassVar[tuple[str, ...]] = ()
    """The format's own classes by training id, for a data set that states none."""

    source_kinds: ClassVar[tuple[SourceKind, ...]] = ("folder",)
    """Where the files may come from."""

    scene_layout: ClassVar[str | None] = None
    """The component `scenes.<layout>` that writes generated scenes for this reader; None: there is none."""

    scene_splits: ClassVar[tuple[str, ...]] = ()
    """The splits that it can write."""

    server: ClassVar[Server | None] = None
    """The evaluation server of the format, if there is one."""

    @classmethod
    def classes(cls, options: Any) -> Annotated[list[str], Bounds(min_length=1)]:
        """Class names by training id: those of the options, or the format's own."""
        return list(getattr(options, "classes", None) or cls.names)

    @classmethod
    def labels(cls, options: Any, classes: Sequence[str]) -> dict[str, Any]:
        """Parameters of the manifest job that say how annotations name `classes`."""
        return {}

    @classmethod
    def check(
        cls, options: Any, splits: Mapping[str, Any], archives: Sequence[str] | None
    ) -> Iterator[Finding]:
        """What does not go together in a data set's entry; `archives` where it comes from those."""
        yield from ()

    @classmethod
    def spec(cls, options: Any, split: Any) -> dict[str, Any]:
        """What `read` is told of a split: its options, without those that are null."""
        given = {field.name: getattr(split, field.name) for field in fields(split)}
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def root(cls, roots: Sequence[Path]) -> Path:
        """The folder that the records' paths are relative to."""
        return roots[0]

    @staticmethod
    @abstractmethod
    def read(roots: Sequence[Path], split: str, spec: Mapping[str, Any]) -> SplitListing:
        """List the records of a split below `roots`, the data set's folders; files are not opened.

        `spec` is what the method `spec` says, and `classes`, the names by training id. Raises `InputError`
        where nothing can be listed; what is wrong with single records goes to the listing's `problems`.
        """

    @staticmethod
    @abstractmethod
    def sources(roots: Sequence[Path], spec: Mapping[str, Any]) -> Sequence[str]:
        """The folders and list files, relative to `root`, whose names, sizes and times decide a split."""

    @classmethod
    def submission_params(cls, classes: Sequence[str]) -> dict[str, Any]:
        """What a submission to the server says of the classes; an `InputError` for classes unknown to it."""
        return {}
