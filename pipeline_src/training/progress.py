"""How far a training is: a bar on a terminal, an occasional plain line elsewhere."""

import logging
import sys
import time

from tqdm import tqdm

logger = logging.getLogger(__name__)

LINE_SECONDS = 30.0
"""Time between two lines of a log."""


class Progress:
    """Shows steps done of `total` and the last loss; silent unless `shown`."""

    def __init__(self, name: str, done: int, total: int, *, shown: bool) -> None:
        self.name, self.total = name, total
        self.shown = shown
        self._bar = None
        if shown and sys.stderr.isatty():
            self._bar = tqdm(initial=done, total=total, desc=name, unit="step", dynamic_ncols=True)
        self._last_line = 0.0

    def update(self, done: int, loss: float | None = None) -> None:
        """Report that `done` steps are finished, the last with this loss, if there is one."""
        if self._bar is not None:
            if loss is not None:
                self._bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
            self._bar.update(done - self._bar.n)
        elif self.shown and (done == self.total or time.monotonic() - self._last_line >= LINE_SECONDS):
            self._last_line = time.monotonic()
            tail = "" if loss is None else f", loss {loss:.4g}"
            logger.info("%s: step %d of %d%s", self.name, done, self.total, tail)

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.close()
