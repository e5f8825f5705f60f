"""Reading a data set's `manifest.json` and the index of records beside it. Standard library only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.data.records import Record
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, digest_of, read_json

IGNORE_INDEX = 255
"""Training id of pixels without a class, whatever id the data set itself gives them."""


@dataclass(frozen=True)
class Counted:
    """How much of each class a split has, as its manifest states it under `counted`.

    `what` is counted: labelled pixels or objects; `by_class` begins with class `first` (0, or 1 where 0 is a
    background that has none). `left_out` are those that no score counts, and `because` says why.
    """

    what: str
    by_class: list[int]
    left_out: int
    because: str
    first: int = 0


@dataclass(frozen=True)
class Manifest:
    """What a manifest says about a data set (`data/make_manifest.py`); only masks have a `label_map`."""

    path: Path
    content: str
    dataset: str
    root: Path
    index: Path
    num_classes: int
    classes: tuple[str, ...]
    label_map: tuple[int, ...] | None
    splits: dict[str, dict[str, Any]]
    fingerprint: dict[str, Any] | None
    index_sha256: str | None = None
    """What the job that wrote both recorded of the index; None for a manifest by itself."""

    @classmethod
    def load(cls, path: str | Path) -> "Manifest":
        """Read `manifest.json`; a missing, damaged or foreign file is an `InputError`."""
        path = Path(path)
        value = read_json(path)
        try:
            index = Path(value["index"])
            # a result folder may have been moved as a whole
            index = index if index.is_file() else path.parent / index.name
            return cls(
                path=path,
                content=value["content"],
                dataset=value["dataset"],
                root=Path(value["root"]),
                index=index,
                num_classes=value["num_classes"],
                classes=tuple(value["classes"]),
                label_map=None if value["label_map"] is None else tuple(value["label_map"]),
                splits=value["splits"],
                fingerprint=value["fingerprint"],
                index_sha256=value.get("outputs", {}).get("index", {}).get("sha256"),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: not a data manifest (no {error}); build it again") from None

    def require_classes(self, num_classes: int) -> None:
        """Refuse (`InputError`) a data set of another number of classes than a job was planned for."""
        if self.num_classes != num_classes:
            raise InputError(
                f"{self.path}: has {self.num_classes} classes, the job says {num_classes}; plan the job again"
            )

    def split_rows(self, split: str, index: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The index rows of a split: `id`, `image`, `annotation` (mask or boxes), `sha256`, `files`
        (digest of each file). `index` is the content of the index file where it has been read already.
        """
        if split not in self.splits:
            raise InputError(f"{self.path}: has no split {split!r}; it has {', '.join(self.splits)}")
        whole = read_json(self.index) if index is None else index
        rows: list[dict[str, Any]] = whole["splits"].get(split, [])
        listed = list_digest(row["id"] for row in rows) == self.splits[split]["list_digest"]
        if not listed or self.index_sha256 not in (None, digest_file(self.index)):
            raise InputError(f"{self.index}: does not belong to {self.path}; build both again")
        return rows

    def records(self, split: str) -> list[Record]:
        """The records of a split, in the order that sample indices refer to."""
        return [Record(row["id"], row["image"], row["annotation"]) for row in self.split_rows(split)]


def list_digest(ids: Any) -> str:
    """Digest of a split's ids in their order."""
    return digest_of(list(ids))
