"""Checks every file of a data set and describes the set: manifest.json and the index of records.

Nothing is trained on before each image and mask was decoded, the sizes agree and the ids are
classes. Later jobs depend on the manifest's `content`, which says what the records hold and in
which order, not where they lie.
"""

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.data.check import CheckedRecord, check_record
from pipeline_src.data.fingerprint import DigestCache, fingerprint
from pipeline_src.data.index import IGNORE_INDEX, list_digest
from pipeline_src.data.records import Record, SplitListing
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.errors import InputError
from pipeline_src.files import digest_of, write_text
from pipeline_src.progress import track

POOL_FROM = 200
"""Below so many records, starting processes takes longer than reading the files."""


@dataclass(frozen=True)
class BuiltManifest:
    """`facts` (with `content`) go into manifest.json, `index` into index.json."""

    content: str
    facts: dict[str, Any]
    index: dict[str, Any]


def build_manifest(
    listings: Mapping[str, SplitListing],
    labels: LabelSpace,
    workers: int = 1,
    problems_path: Path | None = None,
    cache: DigestCache | None = None,
) -> BuiltManifest:
    """Decode every record of `listings` (by split) and describe them.

    `cache` is given for a folder that a user owns: it receives the digests, and the manifest gets
    the folder's fingerprint. All problems are collected; `problems_path` receives the list.

    Raises `InputError` with the first problem and the number of the others: a missing, unreadable
    or truncated file, sizes that differ, ids outside the classes, masks that are no index images, an
    id listed twice, a split without records or without a labelled pixel, a folder changed meanwhile.
    """
    sources = {source for listing in listings.values() for source in listing.sources}
    root = next(iter(listings.values())).root
    before = fingerprint(root, sources) if cache is not None else None
    problems = [text for listing in listings.values() for text in listing.problems]
    warnings = [text for listing in listings.values() for text in listing.warnings]
    splits: dict[str, dict[str, Any]] = {}
    index: dict[str, list[dict[str, Any]]] = {}
    images: dict[str, dict[str, str]] = {}
    for name, listing in listings.items():
        problems += listing_problems(name, listing)
        counts = np.zeros(256, dtype=np.int64)
        sizes: list[tuple[int, int]] = []
        rows: list[dict[str, Any]] = []
        rotated: list[str] = []
        for record, found in _check_all(listing, labels, workers, name):
            problems += [f"{name} record {record.id!r}: {text}" for text in found.problems]
            if found.problems:
                continue
            counts += np.array(found.counts)
            sizes.append(found.image.size)
            rows.append(_row(record, found))
            rotated += [record.id] if found.rotated else []
            if cache is not None:
                for file in (found.image, found.mask):
                    cache.remember(file.name, file.bytes, file.mtime_ns, file.digest)
        if rotated:
            warnings.append(
                f"{name}: {len(rotated)} images carry a rotation (EXIF), which is not applied; "
                f"first {rotated[0]!r}"
            )
        index[name] = rows
        images[name] = {row["files"][0]: row["id"] for row in rows}
        splits[name] = _split_facts(rows, counts, sizes, labels)
        if rows and not sum(splits[name]["class_pixels"]):
            problems.append(f"split {name!r}: no pixel of its masks is labelled")
    raise_problems(problems, problems_path)
    warnings += overlaps(images)
    if before is not None and fingerprint(root, sources) != before:
        raise InputError(f"{root}: files changed while they were read; start again when that is done")
    content = digest_of(
        {
            "splits": {name: [[row["id"], row["sha256"]] for row in rows] for name, rows in index.items()},
            "label_map": labels.label_map,
            "num_classes": labels.num_classes,
            "ignore_index": IGNORE_INDEX,
        }
    )
    if cache is not None and before is not None:
        cache.keep_only(
            file for rows in index.values() for row in rows for file in (row["image"], row["mask"])
        )
        cache.verify(before, content)
        cache.save()
    facts = {
        "root": str(root),
        "num_classes": labels.num_classes,
        "ignore_index": IGNORE_INDEX,
        "label_map": None if labels.label_map is None else list(labels.label_map),
        "splits": splits,
        "fingerprint": before,
        "warnings": warnings,
    }
    return BuiltManifest(content, facts, {"splits": index})


def _check_all(
    listing: SplitListing, labels: LabelSpace, workers: int, name: str
) -> Iterator[tuple[Record, CheckedRecord]]:
    check = partial(check_record, listing.root, allowed=labels.allowed, described=labels.described)
    records = listing.records
    with mapper_of(workers if len(records) >= POOL_FROM else 1) as mapper:
        yield from zip(records, track(mapper(check, records), len(records), f"checking {name}"))


@contextmanager
def mapper_of(workers: int) -> Iterator[Any]:
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


def listing_problems(name: str, listing: SplitListing) -> list[str]:
    """One line for a split without records, or for every id that is listed more than once."""
    if not listing.records and not listing.problems:
        return [f"split {name!r}: no record in {', '.join(listing.sources)} below {listing.root}"]
    ids: dict[str, int] = {}
    for record in listing.records:
        ids[record.id] = ids.get(record.id, 0) + 1
    return [f"{name} record {key!r}: is listed {count} times" for key, count in ids.items() if count > 1]


def _row(record: Record, found: CheckedRecord) -> dict[str, Any]:
    files = [found.image.digest, found.mask.digest]
    return {
        "id": record.id,
        "image": record.image,
        "mask": record.mask,
        "sha256": digest_of(files),
        "files": files,
    }


def _split_facts(
    rows: list[dict[str, Any]], counts: np.ndarray, sizes: list[tuple[int, int]], labels: LabelSpace
) -> dict[str, Any]:
    pixels = [0] * labels.num_classes
    ignored = 0
    for mask_id, count in enumerate(counts.tolist()):
        label = mask_id if labels.label_map is None else labels.label_map[mask_id]
        if label < labels.num_classes:
            pixels[label] += count
        else:
            ignored += count
    widths, heights = [size[0] for size in sizes] or [0], [size[1] for size in sizes] or [0]
    return {
        "images": len(rows),
        "list_digest": list_digest(row["id"] for row in rows),
        "class_pixels": pixels,
        "ignored_pixels": ignored,
        "smallest": [min(widths), min(heights)],
        "largest": [max(widths), max(heights)],
    }


def overlaps(images: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A warning for every two splits that share images: a score on them says little."""
    found = []
    names = list(images)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            shared = sorted(images[second][key] for key in images[first].keys() & images[second].keys())
            if shared:
                found.append(f"{first} and {second} share {len(shared)} images, first {shared[0]!r}")
    return found


def raise_problems(problems: list[str], problems_path: Path | None) -> None:
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
