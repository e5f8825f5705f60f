"""Telling a person how far long input work has come: a bar on a terminal, occasional lines elsewhere."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

_LINE_SECONDS = 30.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """Counts `unit`s of `label` up to `total` (None: unknown). A context manager; call `update(n)`."""

    def __init__(self, label: str, total: int | None, unit: str = "B", initial: int = 0):
        self._label = label
        self._total = total
        self._unit = unit
        self._done = initial
        self._next_line = time.monotonic() + _LINE_SECONDS
        self._bar = (
            tqdm(total=total, unit=unit, unit_scale=True, desc=label, initial=initial, leave=False)
            if sys.stderr.isatty()
            else None
        )

    def update(self, count: int) -> None:
        """Count `count` more."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            of = "" if self._total is None else f" of {_scaled(self._total)}{self._unit}"
            say(f"{self._label}: {_scaled(self._done)}{self._unit}{of}")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def say(message: str) -> None:
    """One line for the person who watches, on stderr, clear of any bar."""
    tqdm.write(message, file=sys.stderr)
    sys.stderr.flush()


def size_text(count: int) -> str:
    """A number of bytes for people: `1.9 GB`."""
    return f"{_scaled(count)}B"


def _scaled(count: int) -> str:
    if count < 1000:
        return f"{count} "
    value = float(count)
    for prefix in "kMGTP":
        value /= 1000
        if value < 1000 or prefix == "P":
            break
    return f"{value:.1f} {prefix}"
