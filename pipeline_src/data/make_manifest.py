"""Checks every file of a data set and describes the set: manifest.json and the index of records.

Nothing is trained on before each image and annotation was decoded and found to fit. Later jobs depend on
the manifest's `content`, which says what the records hold and in which order, not where they lie. What a
task checks of a record and counts of a split stands in its `manifest.py`.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pipeline_src.data.check_file import Checked, CheckedFile
from pipeline_src.data.fingerprint import DigestCache, fingerprint
from pipeline_src.data.read_manifest import Counted, list_digest
from pipeline_src.data.records import Listed, SplitListing
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, digest_of, write_text
from pipeline_src.options import to_json
from pipeline_src.progress import track

_TURNED = (
    "carry a rotation (EXIF), which is not applied; turn the pixels of image and annotation and save them, "
    "or, where annotations fit the pixels as they are stored, set `rotation: ignore` in the split"
)

POOL_FROM = 200
"""Below so many records, starting processes takes longer than reading the files."""


class SplitSummary(Protocol):
    """What a task says of a split, gathered while its records come in."""

    def add(self, record: Any, found: Any) -> str:
        """Take in a record without problems; returns a digest of what training sees of it."""
        ...

    def counted(self) -> Counted:
        """What it has of each class."""
        ...

    def facts(self) -> dict[str, Any]:
        """What else the manifest states of it."""
        ...

    def columns(self) -> dict[str, Any]:
        """What the index stores beside the rows; empty for nothing."""
        ...

    def warnings(self) -> list[str]:
        """One line for each kind of thing that was put right or left out."""
        ...

    def problem(self) -> str | None:
        """Why nothing can be learned from a split with records, in words that follow its name."""
        ...


class Checks(Protocol):
    """What a task checks of a data set's records, and what its manifest says beside them."""

    @property
    def facts(self) -> dict[str, Any]:
        """Of the whole data set, `num_classes` among them."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What, beside the records, training depends on."""
        ...

    def checker(self) -> Callable[[Path, Any], Checked]:
        """From the root and a record to what was found; it runs in other processes and never raises."""
        ...

    def summary(self, split: str) -> SplitSummary:
        """An empty summary of a split."""
        ...


@dataclass(frozen=True)
class BuiltManifest:
    """`facts` (with `content`) go into manifest.json, `index` into index.json."""

    content: str
    facts: dict[str, Any]
    index: dict[str, Any]


def build_manifest(
    listings: Mapping[str, SplitListing],
    checks: Checks,
    workers: int = 1,
    problems_path: Path | None = None,
    cache: DigestCache | None = None,
) -> BuiltManifest:
    """Decode every record of `listings` (by split) and describe them.

    `cache` is given for a folder that a user owns: it receives the digests, and the manifest gets
    the folder's fingerprint. All problems are collected; `problems_path` receives the list.

    Raises `InputError` with the first problem and the number of the others: what `checks` find wrong with
    a record, an id listed twice, a split without records or without anything to learn, a folder that
    changed meanwhile.
    """
    sources = {source for listing in listings.values() for source in listing.sources}
    root = next(iter(listings.values())).root
    before = fingerprint(root, sources) if cache is not None else None
    problems = [text for listing in listings.values() for text in listing.problems]
    warnings = [text for listing in listings.values() for text in listing.warnings]
    digests = _Digests(root, cache)
    splits: dict[str, dict[str, Any]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    columns: dict[str, dict[str, Any]] = {}
    for name, listing in listings.items():
        problems += _listing_problems(name, listing)
        summary, sizes, rotated = checks.summary(name), [], []
        rows[name] = []
        for record, found in _check_all(listing, checks.checker(), workers, name):
            problems += [f"{name} record {record.id!r}: {text}" for text in found.problems]
            if found.problems:
                continue
            files = [digests.of(file) for file in (found.image, found.annotation)]
            image, annotation = record.files
            row = {"id": record.id, "image": image, "annotation": annotation}
            rows[name].append({**row, "sha256": summary.add(record, found), "files": files})
            sizes.append(found.image.size)
            rotated += [record.id] if found.rotated else []
        warnings += summary.warnings()
        if rotated and listing.rotated_is_wrong:
            problems += [f"{name} record {rotated[0]!r}: {len(rotated)} images of the split {_TURNED}"]
        elif rotated:
            warnings.append(
                f"{name}: {len(rotated)} images carry a rotation (EXIF), which is not applied; "
                f"first {rotated[0]!r}"
            )
        if rows[name] and (problem := summary.problem()):
            problems.append(f"split {name!r}: {problem}")
        splits[name] = {
            **_split_facts(rows[name], sizes),
            "counted": to_json(summary.counted()),
            **summary.facts(),
        }
        if found_columns := summary.columns():
            columns[name] = found_columns
    _raise_problems(problems, problems_path)
    warnings += [text for name, found in rows.items() for text in _doubled(name, found)]
    warnings += _overlaps(rows)
    if before is not None and fingerprint(root, sources) != before:
        raise InputError(f"{root}: files changed while they were read; start again when that is done")
    content = digest_of(
        {
            "splits": {name: [[row["id"], row["sha256"]] for row in found] for name, found in rows.items()},
            **checks.identity,
        }
    )
    if cache is not None and before is not None:
        cache.keep_only(
            file for found in rows.values() for row in found for file in (row["image"], row["annotation"])
        )
        cache.verify(before, content)
        cache.save()
    facts = {
        "root": str(root),
        **checks.facts,
        "splits": splits,
        "fingerprint": before,
        "warnings": warnings,
    }
    return BuiltManifest(content, facts, {"splits": rows, **({"columns": columns} if columns else {})})


class _Digests:
    """Digests of files: of what was read when it was checked, and of files that describe many images once."""

    def __init__(self, root: Path, cache: DigestCache | None) -> None:
        self.root, self.cache = root, cache
        self.shared: dict[str, str] = {}

    def of(self, file: CheckedFile) -> str:
        if file.digest:
            if self.cache is not None:
                self.cache.remember(file.name, file.bytes, file.mtime_ns, file.digest)
            return file.digest
        if file.name not in self.shared:
            cached = self.cache.digest(file.name) if self.cache is not None else None
            self.shared[file.name] = cached or digest_file(self.root / file.name)
        return self.shared[file.name]


def _check_all(
    listing: SplitListing, check: Callable[[Path, Any], Checked], workers: int, name: str
) -> Iterator[tuple[Listed, Any]]:
    records = listing.records
    with _mapper_of(workers if len(records) >= POOL_FROM else 1) as mapper:
        found = mapper(partial(check, listing.root), records)
        yield from zip(records, track(found, len(records), f"checking {name}"))


@contextmanager
def _mapper_of(workers: int) -> Iterator[Any]:
    """A `map` in order, over processes where there is more than one worker."""
    if workers <= 1:
        yield map
        return
    # `spawn`: forking a process that may have threads is not safe
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield partial(pool.map, chunksize=16)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _listing_problems(name: str, listing: SplitListing) -> list[str]:
    """One line for a split without records, or for every id that is listed more than once."""
    if not listing.records and not listing.problems:
        return [f"split {name!r}: no record in {', '.join(listing.sources)} below {listing.root}"]
    ids: dict[str, int] = {}
    for record in listing.records:
        ids[record.id] = ids.get(record.id, 0) + 1
    return [f"{name} record {key!r}: is listed {count} times" for key, count in ids.items() if count > 1]


def _split_facts(rows: list[dict[str, Any]], sizes: list[tuple[int, int]]) -> dict[str, Any]:
    widths, heights = ([size[axis] for size in sizes] or [0] for axis in (0, 1))
    return {
        "images": len(rows),
        "list_digest": list_digest(row["id"] for row in rows),
        "smallest": [min(widths), min(heights)],
        "largest": [max(widths), max(heights)],
    }


def _overlaps(rows: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """A warning for every two splits that share images: a score on them says little."""
    images = {name: {row["files"][0]: row["id"] for row in found} for name, found in rows.items()}
    found = []
    names = list(images)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            shared = sorted(images[second][key] for key in images[first].keys() & images[second].keys())
            if shared:
                found.append(f"{first} and {second} share {len(shared)} images, first {shared[0]!r}")
    return found


def _doubled(name: str, rows: list[dict[str, Any]]) -> list[str]:
    """A warning where one image stands in a split under several ids: it counts as often."""
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row["files"][0], []).append(row["id"])
    doubled = [found for found in ids.values() if len(found) > 1]
    if not doubled:
        return []
    first = " and ".join(map(repr, doubled[0][:2]))
    return [f"{name}: {len(doubled)} images stand there under several ids, first {first}"]


def _raise_problems(problems: list[str], problems_path: Path | None) -> None:
    """Nothing without problems; else an `InputError` with the first, and all of them in `problems_path`."""
    if not problems:
        if problems_path is not None:
            problems_path.unlink(missing_ok=True)
        return
    if len(problems) == 1:
        raise InputError(problems[0])
    more = f"{problems[0]} (and {len(problems) - 1} more"
    if problems_path is None:
        raise InputError(f"{more})")
    write_text(problems_path, "\n".join(problems) + "\n")
    raise InputError(f"{more}, see {problems_path})")
