"""Has a folder that a user owns changed since its manifest was made? Asked whenever work is planned.

Equal fingerprints answer at once. Otherwise the listing and the bytes decide, and files that differ
are named, so that a plan can say `data changed: trainannot/0001.png`. Standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline_src.data.fingerprint import DigestCache, fingerprint
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.data.readers.reader import Reader
from pipeline_src.data.records import SplitListing
from pipeline_src.errors import InputError

State = Literal["unchanged", "touched", "changed", "unknown"]

READ_LIMIT_BYTES = 1 << 30
"""Planning re-reads at most so much: above it the manifest job, which shows progress, has to find out."""


@dataclass(frozen=True)
class FolderState:
    """What became of a folder, and the files (relative to the data set's root) that say so.

    - `unchanged`: same fingerprint as in the manifest; nothing was read.
    - `touched`: names, sizes or times differ, but no record does: the manifest still holds.
    - `changed`: records differ; `changed`, `added`, `removed` and `moved` (to another split) name
      files, `reordered` names splits.
    - `unknown`: there is no manifest to compare with, or too much to re-read while planning.
    """

    state: State
    fingerprint: dict[str, Any]
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    reordered: tuple[str, ...] = ()
    reason: str = ""

    @property
    def current(self) -> bool:
        """Whether the manifest still describes the folder."""
        return self.state in ("unchanged", "touched")

    def explain(self) -> str:
        """One line for a plan, such as `data changed: trainannot/0001.png; 2 removed: a.jpg, b.jpg`."""
        if self.state == "unchanged":
            return "data unchanged"
        if self.state == "touched":
            return "data touched, but with the same content"
        if self.state == "unknown":
            return f"data not compared: {self.reason}"
        parts = [_some(self.changed)] if self.changed else []
        for word, names in (("added", self.added), ("removed", self.removed), ("moved", self.moved)):
            parts += [f"{len(names)} {word}: {_some(names)}"] if names else []
        parts += [f"another order in split {_some(self.reordered)}"] if self.reordered else []
        return "data changed: " + ("; ".join(parts) or self.reason)


def folder_fingerprint(
    reader: type[Reader], root: Path, splits: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The fingerprint of a user's folder as its manifest records it.

    `reader` is the one of the data set's format, `splits` as in the manifest job's parameters.

    Raises `InputError` when the folder, or a folder or list that a split names, is not there.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; it is the root of a data set")
    sources = {source for spec in splits.values() for source in reader.sources([root], spec)}
    return fingerprint(reader.root([root]), sources)


def folder_state(
    reader: type[Reader],
    root: Path,
    splits: Mapping[str, Mapping[str, Any]],
    manifest_path: Path,
    cache_path: Path,
    read_limit_bytes: int = READ_LIMIT_BYTES,
) -> FolderState:
    """Compare a user's folder with the manifest that was made of it.

    `splits` as in the manifest job's parameters. `cache_path` holds digests of files (written here
    and by the manifest job); without it every file is read again, up to `read_limit_bytes`.

    Raises `InputError` when the folder, or a folder or list that a split names, is not there.
    """
    now = folder_fingerprint(reader, root, splits)
    if not manifest_path.is_file():
        return FolderState("unknown", now, reason="there is no manifest yet")
    data_root = reader.root([root])
    try:
        manifest = Manifest.load(manifest_path)
        if manifest.root.resolve() != data_root.resolve():
            return FolderState("unknown", now, reason=f"the manifest describes {manifest.root}")
        if manifest.fingerprint == now:
            return FolderState("unchanged", now)
        cache = DigestCache(cache_path, data_root)
        if cache.verified == {"fingerprint": now, "content": manifest.content}:
            return FolderState("touched", now)
        rows = {name: manifest.split_rows(name) for name in splits}
    except InputError as error:
        return FolderState("unknown", now, reason=f"the manifest cannot be used ({error})")
    listings = {name: reader.read([root], name, spec) for name, spec in splits.items()}
    if problem := next((text for listing in listings.values() for text in listing.problems), None):
        return FolderState("changed", now, reason=problem)
    comparison = _Comparison()
    for name, listing in listings.items():
        comparison.add_split(name, rows[name], listing)
    pending = cache.pending_bytes(file for file, _ in comparison.digests)
    if pending > read_limit_bytes:
        return FolderState("unknown", now, reason=f"{pending / 1e9:.1f} GB would have to be read again")
    state = comparison.finish(now, cache)
    if state.current:
        cache.verify(now, manifest.content)
    cache.save()
    return state


class _Comparison:
    """Differences between the index and what is in the folder now, split by split."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.added: set[str] = set()
        self.removed: set[str] = set()
        self.reordered: list[str] = []
        self.digests: list[tuple[str, str]] = []

    def add_split(self, name: str, rows: Sequence[Mapping[str, Any]], listing: SplitListing) -> None:
        before = {row["id"]: row for row in rows}
        after = {record.id: record for record in listing.records}
        self.added.update(record.files[0] for key, record in after.items() if key not in before)
        self.removed.update(row["image"] for key, row in before.items() if key not in after)
        if before.keys() == after.keys() and list(before) != list(after):
            self.reordered.append(name)
        for key in before.keys() & after.keys():
            row, record = before[key], after[key]
            for was, file, digest in zip((row["image"], row["annotation"]), record.files, row["files"]):
                if was != file:
                    self.removed.add(was)
                    self.added.add(file)
                self.digests.append((file, digest))

    def finish(self, now: dict[str, Any], cache: DigestCache) -> FolderState:
        for file, expected in self.digests:
            found = cache.digest(file)
            if found is None:
                self.removed.add(file)
            elif found != expected:
                self.changed.add(file)
        same = not (self.changed or self.added or self.removed or self.reordered)
        return FolderState(
            "touched" if same else "changed",
            now,
            changed=tuple(sorted(self.changed)),
            added=tuple(sorted(self.added - self.removed)),
            removed=tuple(sorted(self.removed - self.added)),
            moved=tuple(sorted(self.added & self.removed)),
            reordered=tuple(self.reordered),
        )


def _some(names: Sequence[str], shown: int = 3) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
