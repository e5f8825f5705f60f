"""Versions of the libraries that results were made with, beside those that are installed now.

They are recorded in every result and are no part of its identity: an upgrade reruns nothing by itself. With
`strict_environment` a result that other versions made is made again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata

from pipeline_src.provenance.sidecar import Sidecar


def library_changes(record: Sidecar) -> list[str]:
    """`torch 2.9.0 -> 2.11.0`, for every library that a result was made with and that is another one now.

    A library that is not installed here is left out: a machine that only plans needs none of them.
    """
    changes = []
    for name, version in sorted(made_with(record).items()):
        now = _installed(name)
        if now is not None and now != version:
            changes.append(f"{name} {version} -> {now}")
    return changes


def made_with(record: Sidecar) -> Mapping[str, str]:
    """Versions by library; of a training, which may have been recorded later, those of its last session."""
    sessions = record.facts.get("training", {}).get("sessions", [])
    found: Mapping[str, str] = (sessions[-1] if sessions else {}).get("libraries") or record.environment.get(
        "packages", {}
    )
    return found


def in_words(changes: Iterable[list[str]]) -> str | None:
    """One line about the changes of many results that stay; None where there are none."""
    counted = Counter(change for some in changes for change in some)
    if not counted:
        return None
    found = ", ".join(f"{change} ({count})" for change, count in sorted(counted.items()))
    return (
        f"results of other library versions: {found}; they stay, and with strict_environment: true they are "
        "made again"
    )


@cache
def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
