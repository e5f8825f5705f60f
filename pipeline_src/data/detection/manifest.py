"""Checks every image and box of a detection data set and describes the set: manifest and index.

The counterpart of `data/manifest.py`. Boxes that reach outside their image are clipped and boxes without
area are skipped; the manifest counts both and names all their records, a warning the first.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.data.check import CheckedFile
from pipeline_src.data.detection.check import CheckedDetection, check_detection
from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.fingerprint import DigestCache, fingerprint
from pipeline_src.data.index import list_digest
from pipeline_src.data.manifest import (
    POOL_FROM,
    BuiltManifest,
    listing_problems,
    mapper_of,
    overlaps,
    raise_problems,
)
from pipeline_src.data.records import SplitListing
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, digest_of
from pipeline_src.progress import track

NAMED_RECORDS = 10
"""So many records are named beside the count of a warning."""

SMALL, LARGE = 32**2, 96**2
"""COCO's limits of a medium object's area, in square pixels."""


def build_detection_manifest(
    listings: Mapping[str, SplitListing[DetectionRecord]],
    classes: list[str],
    workers: int = 1,
    problems_path: Path | None = None,
    cache: DigestCache | None = None,
) -> BuiltManifest:
    """Decode every record of `listings` (by split) and describe them.

    `classes` are the names by label, the background first. `cache` is given for a folder that a user
    owns: it receives the digests, and the manifest gets the folder's fingerprint. The content follows
    from images, boxes, labels, areas and flags, not from how or where a file states them.

    Raises `InputError` with the first problem and the number of the others: a missing or damaged file, a
    size that differs from the stated one, an unknown class, a box that is not finite or inverted, an id
    listed twice, a split without records or without a box, a folder changed meanwhile.
    """
    sources = {source for listing in listings.values() for source in listing.sources}
    root = next(iter(listings.values())).root
    before = fingerprint(root, sources) if cache is not None else None
    problems = [text for listing in listings.values() for text in listing.problems]
    warnings = [text for listing in listings.values() for text in listing.warnings]
    labels = {name: label for label, name in enumerate(classes) if label}
    shared = _SharedFiles(root, cache)
    splits: dict[str, dict[str, Any]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    columns: dict[str, dict[str, Any]] = {}
    for name, listing in listings.items():
        problems += listing_problems(name, listing)
        split = _Split(name, len(classes))
        records = listing.records
        with mapper_of(workers if len(records) >= POOL_FROM else 1) as mapper:
            checks = mapper(partial(check_detection, listing.root, labels), records)
            for record, found in zip(records, track(checks, len(records), f"checking {name}")):
                if found.problems:
                    problems += [f"{name} record {record.id!r}: {text}" for text in found.problems]
                    continue
                if not found.annotation.digest:
                    found.annotation.digest = shared.digest(record.annotation)
                elif cache is not None:
                    _remember(cache, found.annotation)
                if cache is not None:
                    _remember(cache, found.image)
                split.add(record, found)
        if split.rows and not split.joined:
            problems.append(f"split {name!r}: no image has a box")
        warnings += split.warnings()
        rows[name], columns[name], splits[name] = split.rows, split.columns(), split.facts()
    raise_problems(problems, problems_path)
    warnings += overlaps(
        {name: {row["files"][0]: row["id"] for row in found} for name, found in rows.items()}
    )
    if before is not None and fingerprint(root, sources) != before:
        raise InputError(f"{root}: files changed while they were read; start again when that is done")
    content = digest_of(
        {
            "task": "detection",
            "splits": {name: [[row["id"], row["sha256"]] for row in found] for name, found in rows.items()},
            "num_classes": len(classes),
        }
    )
    if cache is not None and before is not None:
        cache.keep_only(
            file for found in rows.values() for row in found for file in (row["image"], row["annotation"])
        )
        cache.verify(before, content)
        cache.save()
    facts = {
        "task": "detection",
        "root": str(root),
        "num_classes": len(classes),
        "ignore_index": None,
        "label_map": None,
        "splits": splits,
        "fingerprint": before,
        "warnings": warnings,
    }
    return BuiltManifest(content, facts, {"splits": rows, "objects": columns})


class _SharedFiles:
    """Digests of files that describe many images, each taken once."""

    def __init__(self, root: Path, cache: DigestCache | None) -> None:
        self.root, self.cache = root, cache
        self.known: dict[str, str] = {}

    def digest(self, name: str) -> str:
        if name not in self.known:
            cached = self.cache.digest(name) if self.cache is not None else None
            self.known[name] = cached or digest_file(self.root / name)
        return self.known[name]


class _Split:
    """The rows, columns and counts of one split, while its records come in."""

    def __init__(self, name: str, num_classes: int) -> None:
        self.name, self.num_classes = name, num_classes
        self.rows: list[dict[str, Any]] = []
        self.parts: list[Objects] = []
        self.sizes: list[tuple[int, int]] = []
        self.clipped: dict[str, int] = {}
        self.skipped: dict[str, int] = {}
        self.rotated: list[str] = []

    def add(self, record: DetectionRecord, found: CheckedDetection) -> None:
        """Take in a record without problems."""
        self.rows.append(
            {
                "id": record.id,
                "image": record.image,
                "annotation": record.annotation,
                "sha256": digest_of([found.image.digest, found.objects.digest()]),
                "files": [found.image.digest, found.annotation.digest],
            }
        )
        self.parts.append(found.objects)
        self.sizes.append(found.image.size)
        for counts, count in ((self.clipped, found.clipped), (self.skipped, found.skipped)):
            if count:
                counts[record.id] = count
        self.rotated += [record.id] if found.rotated else []

    @property
    def joined(self) -> Objects:
        """The objects of all images so far."""
        return Objects.joined(self.parts)

    def columns(self) -> dict[str, Any]:
        """What the index stores beside the rows; `data/detection/index.py` reads it."""
        widths, heights = ([size[axis] for size in self.sizes] for axis in (0, 1))
        counts = [len(part) for part in self.parts]
        texts = {"counts": counts, "widths": widths, "heights": heights}
        return {**{key: " ".join(map(str, value)) for key, value in texts.items()}, **self.joined.packed()}

    def facts(self) -> dict[str, Any]:
        """The counts that the manifest states."""
        joined = self.joined
        counted = ~(joined.crowd | joined.difficult)
        areas = joined.areas[counted]
        widths, heights = ([size[axis] for size in self.sizes] or [0] for axis in (0, 1))
        return {
            "images": len(self.rows),
            "images_without_objects": sum(not len(part) for part in self.parts),
            "list_digest": list_digest(row["id"] for row in self.rows),
            "objects": len(joined),
            "class_objects": np.bincount(joined.labels, minlength=self.num_classes).tolist(),
            "crowd": int(joined.crowd.sum()),
            "difficult": int(joined.difficult.sum()),
            "small": int((areas < SMALL).sum()),
            "medium": int(((areas >= SMALL) & (areas <= LARGE)).sum()),
            "large": int((areas > LARGE).sum()),
            "clipped": _named(self.clipped),
            "zero_area": _named(self.skipped),
            "smallest": [min(widths), min(heights)],
            "largest": [max(widths), max(heights)],
        }

    def warnings(self) -> list[str]:
        """One line for each kind of thing that was put right or left out."""
        found = [
            f"{self.name}: {sum(counts.values())} boxes {what}, in {len(counts)} records: "
            f"{_first(list(counts))}"
            for counts, what in (
                (self.clipped, "reach outside their image and were clipped"),
                (self.skipped, "have no area within their image and were skipped"),
            )
            if counts
        ]
        if self.rotated:
            found.append(
                f"{self.name}: {len(self.rotated)} images carry a rotation (EXIF), which is not applied; "
                f"first {self.rotated[0]!r}"
            )
        return found


def _named(counts: Mapping[str, int]) -> dict[str, Any]:
    """What the manifest says of boxes counted by record: both sums, and the count of every record."""
    return {"boxes": sum(counts.values()), "images": len(counts), "records": dict(counts)}


def _first(names: list[str]) -> str:
    rest = len(names) - NAMED_RECORDS
    return ", ".join(names[:NAMED_RECORDS]) + (f" and {rest} more" if rest > 0 else "")


def _remember(cache: DigestCache, file: CheckedFile) -> None:
    cache.remember(file.name, file.bytes, file.mtime_ns, file.digest)
