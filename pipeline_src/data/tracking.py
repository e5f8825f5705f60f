"""Progress of long work: a bar on a terminal, an occasional line in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

LOG_INTERVAL_S = 15.0

T = TypeVar("T")


def track(items: Iterable[T], total: int, label: str, unit: str = "image") -> Iterator[T]:
    """Yield `items`, showing how many of `total` are done on stderr."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, unit=unit, leave=False)
        return
    last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last >= LOG_INTERVAL_S:
            last = time.monotonic()
            print(f"{label}: {done}/{total} {unit}s", file=sys.stderr, flush=True)
