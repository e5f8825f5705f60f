"""When to save: asked by a signal to stop, or because the last checkpoint is old enough.

Neither ever changes a result, so both are runtime matters and not part of a recipe.
"""

import signal
import time
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
"""What schedulers send before they kill (USR1 can be asked for earlier: `sbatch --signal`), and Ctrl-C."""


class StopRequest:
    """Context in which a signal only sets `requested`, so that a step is finished and saved.

    A second Ctrl-C is not patient any more: it raises `KeyboardInterrupt` at once.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)


class SaveInterval:
    """Due after so many minutes, or every so many steps where `steps` is given."""

    def __init__(self, minutes: float = 10.0, steps: int | None = None) -> None:
        self.seconds = 60 * minutes
        self.steps = steps
        self.saved()

    def saved(self) -> None:
        """Start the clock anew."""
        self._last = time.monotonic()

    def due(self, done: int) -> bool:
        """Whether to save after `done` updates."""
        if self.steps is not None:
            return done % self.steps == 0
        return time.monotonic() - self._last >= self.seconds
