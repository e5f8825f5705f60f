"""How far long work has come: a bar on a terminal, an occasional line in a log. With tqdm and the standard
library only.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

LINE_SECONDS = 30.0
"""Time between two lines where there is no terminal; shorter work says nothing there."""

Item = TypeVar("Item")


class Progress:
    """Counts `unit`s of `label` from `done` up to `total` (None: unknown); silent unless `shown`.

    A context manager. The unit `B` (bytes) is counted in kB, MB, and so on.
    """

    def __init__(
        self, label: str, total: int | None, unit: str = "image", done: int = 0, *, shown: bool = True
    ) -> None:
        self.label, self.total, self.unit, self.shown = label, total, unit, shown
        self._before, self._done = done, done
        self._began = self._last_line = time.monotonic()
        self._bar = None
        if shown and sys.stderr.isatty():
            self._bar = tqdm(
                total=total,
                initial=done,
                desc=label,
                unit=unit,
                unit_scale=unit == "B",
                dynamic_ncols=True,
                leave=False,
            )

    def update(self, count: int = 1, note: str = "") -> None:
        """Count `count` more; `note` is shown beside the count, such as the last loss."""
        self._done += count
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
            return
        now = time.monotonic()
        if self.shown and now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            say(
                f"{self.label}: {', '.join(part for part in (self._count(), note, self._speed(now)) if part)}"
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _count(self) -> str:
        if self.unit == "B":
            return size_text(self._done) + ("" if self.total is None else f" of {size_text(self.total)}")
        return f"{self.unit} {self._done}" + ("" if self.total is None else f" of {self.total}")

    def _speed(self, now: float) -> str:
        """Units per second since the start of this process, and the time to go at that rate."""
        rate = (self._done - self._before) / max(now - self._began, 1e-9)
        if not rate:
            return ""
        text = f"{size_text(round(rate))}/s" if self.unit == "B" else f"{rate:.3g} {self.unit}s/s"
        if self.total is None:
            return text
        minutes, seconds = divmod(round((self.total - self._done) / rate), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{text}, {hours}:{minutes:02}:{seconds:02} to go"


def track(
    items: Iterable[Item], total: int, label: str, unit: str = "image", *, shown: bool = True
) -> Iterator[Item]:
    """Yield `items`, showing how many of `total` are done."""
    with Progress(label, total, unit, shown=shown) as progress:
        for item in items:
            yield item
            progress.update()


def say(message: str) -> None:
    """One line for the person who watches, on stderr, clear of any bar."""
    tqdm.write(message, file=sys.stderr)
    sys.stderr.flush()


SPELLED = {"miou": "mIoU", "ap": "AP", "ap50": "AP50", "mask_ap": "mask AP"}
"""Scores that a task names first, as people write them."""


def score_text(scores: Mapping[str, float | None], names: Iterable[str]) -> str:
    """The named scores, fractions, for people: `mIoU 61.2 %`; those that are not there are left out."""
    found = [(SPELLED.get(name, name), scores.get(name)) for name in names]
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in found if value is not None)


def size_text(count: int) -> str:
    """A number of bytes for people: `1.9 GB`."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for prefix in "kMGTP":
        value /= 1000
        if round(value, 1) < 1000 or prefix == "P":
            break
    return f"{value:.1f} {prefix}B"
