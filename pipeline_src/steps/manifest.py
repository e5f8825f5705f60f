"""Step `manifest`: check every image and mask of a data set and describe it for the later jobs.

Writes the index of records, then manifest.json, whose `content` is what training depends on.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_src.components import load
from pipeline_src.data.fetch_params import DescribeData
from pipeline_src.data.fingerprint import DigestCache, cache_path
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.read_manifest import Counted
from pipeline_src.errors import InputError
from pipeline_src.files import read_json, write_json
from pipeline_src.options import from_json
from pipeline_src.provenance.job import Job

SHOWN = 5
"""Classes that a warning names."""


def make_manifest(job: Job, workers: int | None = None) -> None:
    """Build both files of the job; raises `InputError` as `build_manifest` does.

    `workers` is the number of processes that decode files; None: all cores.
    """
    data = job.params_as(DescribeData, part=True)
    reader = load(f"reader.{data.format}")
    roots = _roots(job, data)
    listings = {
        name: reader.read(roots, name, {"classes": data.classes, **split})
        for name, split in data.splits.items()
    }
    owned = data.root is not None
    cache = DigestCache(cache_path(data.dataset), next(iter(listings.values())).root) if owned else None
    sidecar = Path(job.outputs["sidecar"])
    problems_path = sidecar.with_name(f"{sidecar.name}.problems.txt")
    try:
        checks = load(f"manifest.{reader.task}").of(job.params)
        built = build_manifest(listings, checks, workers or _available_cores(), problems_path, cache)
    except InputError as error:
        raise InputError(f"data set {data.dataset!r}: {error}") from None
    warned = built.facts["warnings"]
    warned += absent_classes(built.facts["splits"], data.classes or [])
    for warning in warned:
        print(f"warning: data set {data.dataset!r}: {warning}", file=sys.stderr)
    write_json(job.outputs["index"], built.index)
    job.write_sidecar(
        built.content,
        packages=("numpy", "pillow"),
        summary=", ".join(f"{facts['images']} {name}" for name, facts in built.facts["splits"].items())
        + " images"
        + _in_short(warned),
        dataset=data.dataset,
        format=data.format,
        index=job.outputs["index"],
        classes=data.classes or [str(label) for label in range(data.num_classes)],
        **built.facts,
    )


def absent_classes(splits: Mapping[str, dict[str, Any]], classes: Sequence[str]) -> list[str]:
    """A warning for the classes that no split has anything of: names or ids may have been mixed up."""
    counted = [from_json(Counted, facts["counted"]) for facts in splits.values()]
    absent = [
        name
        for place, name in enumerate(classes)
        if place >= counted[0].first and not any(one.by_class[place - one.first] for one in counted)
    ]
    if not absent:
        return []
    shown = ", ".join(absent[:SHOWN]) + (f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else "")
    return [f"no split has any {counted[0].what} of {shown}; are the classes in the order of the ids?"]


def _in_short(warnings: Sequence[str]) -> str:
    """For the line that a run shows of this job: the first warning, and how many there are."""
    if not warnings:
        return ""
    return f"; warning: {warnings[0]}" + (f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else "")


def _roots(job: Job, data: DescribeData) -> list[Path]:
    """The folders to read: the user's own, or what the records of extracted or drawn data name."""
    if data.root is not None:
        root = Path(data.root)
        if not root.is_dir():
            raise InputError(f"data set {data.dataset!r}: {root}: no such folder")
        return [root]
    roots = []
    for source in job.input_list("sources"):
        root = Path(read_json(source)["root"])
        if not root.is_dir():
            raise InputError(
                f"data set {data.dataset!r}: {root} is gone, though {source} records it; "
                "delete that record to have it made again"
            )
        roots.append(root)
    return roots


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
