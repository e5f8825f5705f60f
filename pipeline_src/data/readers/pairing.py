"""What readers share whose layout names the mask of every image: images without a mask are told once."""

from collections.abc import Container, Sequence

from pipeline_src.data.records import Record


def with_masks(
    split: str, records: Sequence[Record], masks: Container[str], where: str
) -> tuple[list[Record], tuple[str, ...]]:
    """The records whose mask is in `masks`, and one problem line about all others.

    `where` names the folder that was searched, or the pattern of its files.
    """
    missing = [record for record in records if record.mask not in masks]
    if not missing:
        return list(records), ()
    problem = (
        f"{split} record {missing[0].id!r}: mask {missing[0].mask} is missing; {len(missing)} of "
        f"{len(records)} images have no mask in {where}"
    )
    return [record for record in records if record.mask in masks], (problem,)
