"""From the ids in a data set's masks to training ids: classes 0..n-1, and 255 for unlabelled pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_src.data.read_manifest import IGNORE_INDEX
from pipeline_src.errors import InputError


@dataclass(frozen=True)
class LabelSpace:
    """Which mask ids exist and what they become.

    `label_map` has 256 entries (mask id -> training id, 255 for what is not a class), or is None
    when the masks hold training ids already. `allowed` are the ids that a mask may hold.
    """

    num_classes: int
    label_map: tuple[int, ...] | None
    allowed: frozenset[int]
    described: str

    @classmethod
    def of(
        cls,
        num_classes: int,
        ignore_index: int | None,
        class_ids: Sequence[int] | None = None,
        ignored_ids: Sequence[int] | None = None,
    ) -> "LabelSpace":
        """Class k has mask id k, or `class_ids[k]` where those are given.

        `ignore_index` is the mask id of unlabelled pixels; None, or a value that no 8-bit mask can
        hold, means that there is none. `ignored_ids` are further ids of unlabelled pixels. Every id is
        looked up on its own: ADE20K's 0 becomes 255 and its 1..150 become 0..149 without arithmetic.

        Raises `InputError` for ids that collide or do not fit into 0..255.
        """
        if not 1 <= num_classes <= IGNORE_INDEX:
            raise InputError(f"num_classes {num_classes}: must be in 1..{IGNORE_INDEX}")
        ids = list(range(num_classes)) if class_ids is None else list(class_ids)
        if len(ids) != num_classes or len(set(ids)) != num_classes:
            raise InputError(f"class_ids: {num_classes} different ids are needed, one for each class")
        if min(ids) < 0 or max(ids) > 255:
            raise InputError(
                f"class_ids: {min(ids)}..{max(ids)} is outside what an 8-bit mask holds (0..255)"
            )
        if ignore_index in ids:
            raise InputError(
                f"ignore_index {ignore_index} is also the mask id of class {ids.index(ignore_index)}; "
                "leave that class out of the classes, or choose another ignore_index"
            )
        further = list(ignored_ids or ())
        for mask_id in further:
            if mask_id in ids:
                raise InputError(
                    f"ignored_ids: {mask_id} is also the mask id of class {ids.index(mask_id)}; leave it out"
                )
            if not 0 <= mask_id <= 255:
                raise InputError(f"ignored_ids: {mask_id} is outside what an 8-bit mask holds (0..255)")
        table = [IGNORE_INDEX] * 256
        for label, mask_id in enumerate(ids):
            table[mask_id] = label
        ignored = {ignore_index} if ignore_index is not None and 0 <= ignore_index <= 255 else set()
        allowed = frozenset({*ids, *ignored, *further})
        identity = all(table[mask_id] == mask_id for mask_id in allowed)
        described = f"0..{num_classes - 1}" if class_ids is None else _spans(ids)
        described += f" and the ignore index {ignore_index}" if ignored else ""
        described += f" and, ignored, {_spans(further)}" if further else ""
        return cls(num_classes, None if identity else tuple(table), allowed, described)


def _spans(ids: Sequence[int]) -> str:
    """Ids in words, such as `7, 8, 11..13`."""
    runs: list[list[int]] = []
    for mask_id in sorted(ids):
        if runs and mask_id == runs[-1][-1] + 1:
            runs[-1].append(mask_id)
        else:
            runs.append([mask_id])
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
