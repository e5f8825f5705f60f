"""How many images a split has, before anything of it was fetched or read: for estimates only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline_src.csv_rows import read_rows
from pipeline_src.errors import InputError

SET_SIZES_TABLE = Path("data/set_sizes.csv")


def published_sizes(table: str | Path = SET_SIZES_TABLE) -> dict[tuple[str, str], int]:
    """Images by format and set, as the data sets' authors state them.

    Raises `InputError` for a table that is damaged, or has a row twice or without a number.
    """
    sizes: dict[tuple[str, str], int] = {}
    for line, cells in read_rows(table, ["format", "set", "images"]):
        key = cells["format"], cells["set"]
        if not cells["images"].isdecimal():
            raise InputError(f"{table}:{line}: images is {cells['images']!r}, not a whole number")
        if key in sizes:
            raise InputError(f"{table}:{line}: {' '.join(key)} stands twice")
        sizes[key] = int(cells["images"])
    return sizes


def images_of(format_name: str, split: Mapping[str, Any], sizes: Mapping[tuple[str, str], int]) -> int | None:
    """Images of a split of a public data set, from its options; None where nobody published their number."""
    names = split.get("sets") or [split.get("set")]
    known = [sizes.get((format_name, str(name))) for name in names]
    if None in known:
        return None
    total = sum(size for size in known if size is not None)
    return min(total, split.get("limit") or total)
