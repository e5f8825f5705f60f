"""Parts of a data set for training and validation, where its owner has none. Standard library only.

The choice ranks names by a hash of seed and name, so that it does not depend on the order of files, and a
new file moves no other one.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

from pipeline_src.errors import InputError

Grouping = Literal["none", "folder", "prefix"]
SHARE = 0.2
"""Of the images, for validation."""


def split_names(
    names: Sequence[str], seed: int = 0, share: float = SHARE, group_by: Grouping = "none"
) -> tuple[list[str], list[str]]:
    """Names for training and for validation, each in the given order; groups stay together.

    `folder` groups by the folders of a name, `prefix` by what stands before its last `_` or `-` (frames
    of one video). Groups are taken for validation until it has its share.

    Raises `InputError` where all names are of one group, or there are fewer than two.
    """
    group_of = _GROUPS[group_by]
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(name), []).append(name)
    if len(groups) < 2:
        what = (
            f"all {len(names)} images are of one {group_by}" if len(names) > 1 else "there are no two images"
        )
        raise InputError(f"{what}, so that no part can be kept for validation; group by something else")
    ranked = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    wanted, chosen = max(1, round(share * len(names))), set[str]()
    taken = 0
    for group in ranked[:-1]:
        if taken >= wanted:
            break
        chosen.add(group)
        taken += len(groups[group])
    val = [name for name in names if group_of(name) in chosen]
    return [name for name in names if group_of(name) not in chosen], val


def _prefix(name: str) -> str:
    cut = max(name.rfind("_"), name.rfind("-"))
    return name[:cut] if cut > 0 else name


_GROUPS: dict[str, Callable[[str], str]] = {
    "none": lambda name: name,
    "folder": lambda name: name.rpartition("/")[0],
    "prefix": _prefix,
}
