"""What the ids of masks mean: which are classes, how these are called, and which are not labelled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_src.data.file_names import read_list
from pipeline_src.errors import InputError

UNLABELLED = 255
HIGHEST = 255
"""The largest id of a mask with 8 bits."""
SHADES = 64
"""More ids than this, without names, look like shades of grey."""
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored", "dontcare", "notlabelled"})


@dataclass
class MaskIds:
    """Class names in order, their ids (None: 0, 1, 2, ...), and the ids that are ignored."""

    classes: list[str]
    ids: list[int] | None
    ignored: list[int]
    warnings: list[str] = field(default_factory=list)

    @property
    def id_of(self) -> dict[str, int]:
        """Ids by class name."""
        return dict(
            zip(self.classes, range(len(self.classes)) if self.ids is None else self.ids, strict=True)
        )

    @property
    def entry(self) -> dict[str, Any]:
        """The keys of a `datasets` entry that say so."""
        taken = set(self.id_of.values())
        first = (self.ignored or [next(one for one in range(HIGHEST, -1, -1) if one not in taken)])[0]
        return {
            "classes": self.classes,
            **({} if self.ids is None else {"ids": self.ids}),
            "ignore_index": first,
            **({"ignored_ids": self.ignored[1:]} if self.ignored[1:] else {}),
        }


def given_names(text: str) -> list[str]:
    """The names of `--classes`: a file with one a line, or `a,b,c`. A missing file is an `InputError`."""
    path = Path(text)
    if text and "," not in text and path.is_file():
        names = read_list(path)
        if len(names) == 1:
            names = names[0].split(",")
    elif "/" in text or path.suffix in (".txt", ".csv"):
        raise InputError(f"--classes {text}: no such file; give one name a line, or a,b,c")
    else:
        names = text.split(",")
    names = [name.strip() for name in names if name.strip()]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"--classes names {doubled[0]!r} twice; every class needs a name of its own")
    return names


def given_ids(text: str | None) -> list[int] | None:
    """The ids of `--ignore`, such as `0,255`; None where nothing is said."""
    if text is None:
        return None
    cells = [cell.strip() for cell in text.split(",")]
    if wrong := [cell for cell in cells if not cell.isdecimal() or int(cell) > HIGHEST]:
        raise InputError(f"--ignore {wrong[0]!r} is no id of a mask; give one of 0 to 255, or several: 0,255")
    return [int(cell) for cell in cells]


def meaning_of(seen: Iterable[int], names: Sequence[str], ignore: Sequence[int] | None = None) -> MaskIds:
    """What the ids that were `seen` mean, from the `names` by id and the ids to `ignore`, where given.

    Ignored without a word are 255 and ids that are named void or the like. Masks that hold 0 and 255 only
    have two classes, since one could not be learned; a warning says so.

    Raises `InputError` where an id has no name, is no class's, or fewer than two classes are left.
    """
    found = sorted(seen)
    if wrong := [one for one in found if not 0 <= one <= HIGHEST]:
        raise InputError(
            f"a mask holds the id {wrong[-1]}; ids of classes go up to {HIGHEST - 1}: save masks with 8 bits"
        )
    void = [number for number, name in enumerate(names) if _plain(name) in VOID_NAMES]
    binary = found == [0, UNLABELLED] and ignore is None and not void and len(names) in (0, 2)
    ignored = list(ignore or ()) + [one for one in void if one not in (ignore or ())]
    if ignore is None and UNLABELLED in found and UNLABELLED not in ignored and not binary:
        ignored.append(UNLABELLED)
    left = [one for one in found if one not in ignored]
    if not left:
        raise InputError(
            f"no mask holds a class: all pixels that were looked at are {', '.join(map(str, ignored))}, "
            "which means not labelled"
        )
    warnings = []
    if binary:
        ids = [0, UNLABELLED]
        labels = list(names) or ["class_0", "class_255"]
        warnings.append(
            "the masks hold 0 and 255 only, so 255 is taken for a class, not for unlabelled pixels"
        )
    elif names:
        if left[-1] >= len(names):
            raise InputError(
                f"--classes has {len(names)} names, and masks hold the id {left[-1]}; name 0 to {left[-1]}, "
                "or --ignore it"
            )
        ids = [number for number in range(len(names)) if number not in ignored]
        labels = [names[number] for number in ids]
    else:
        between = [number for number in range(left[-1] + 1) if number not in ignored]
        # ids far apart are names of a kind; few that are missing may stand in masks that were not looked at
        ids = between if len(between) <= 2 * len(left) else left
        labels = [f"class_{number}" for number in ids]
        if len(left) > SHADES:
            warnings.append(f"the masks hold {len(left)} ids; are they ids of classes, not shades of grey?")
    if len(labels) < 2:
        raise InputError(f"the masks hold one class only, {labels[0]!r}; a comparison needs at least two")
    return MaskIds(labels, None if ids == list(range(len(ids))) else ids, ignored, warnings)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
