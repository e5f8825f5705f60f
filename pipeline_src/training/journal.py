"""`log.csv` and `curve.csv` of one training, such that a resumed one's are byte-identical.

A checkpoint records how long both files were. Rows beyond that belong to steps that a killed process
made and the resumed one makes again, so they are cut off. Times never enter: they stand in a third file,
`timing.csv`, which keeps what every process took and is no result.

`log.csv`: `step` (updates finished, from 1), `epoch` (that the update belongs to, from 0), `lr`, `loss`.
`curve.csv`: `step` (updates finished), `epoch` (epochs finished), `metric`, `value`.
`timing.csv`: `from_step` (at which its process began), `step`, `seconds` (since the process began).
Numbers are written with `repr`, so that reading them back gives the same float.
"""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

LOG_HEADER = "step,epoch,lr,loss\n"
CURVE_HEADER = "step,epoch,metric,value\n"
TIMING_HEADER = "from_step,step,seconds\n"


class Journal:
    """The files in one folder; a process that writes nothing has the folder None."""

    def __init__(self, folder: Path | None) -> None:
        self.log = folder / "log.csv" if folder else None
        self.curve = folder / "curve.csv" if folder else None
        self.timing = folder / "timing.csv" if folder else None

    def start(self) -> None:
        """Begin all files anew, with their headers."""
        headers = ((self.log, LOG_HEADER), (self.curve, CURVE_HEADER), (self.timing, TIMING_HEADER))
        for path, header in headers:
            if path is not None:
                path.write_text(header, encoding="utf-8", newline="\n")

    def lengths(self) -> dict[str, int]:
        """Bytes of both files, all of them on disk by the time that this returns."""
        return {path.name: _sync(path) for path in (self.log, self.curve) if path is not None}

    def holds(self, lengths: Mapping[str, int]) -> bool:
        """Whether both files are at least this long, so that they can be cut back to it."""
        paths = [path for path in (self.log, self.curve) if path is not None]
        return all(path.is_file() and path.stat().st_size >= lengths[path.name] for path in paths)

    def cut(self, lengths: Mapping[str, int]) -> None:
        """Cut both files back to the lengths that a checkpoint recorded."""
        for path in (self.log, self.curve):
            if path is not None:
                os.truncate(path, lengths[path.name])

    def add_loss(self, step: int, epoch: int, lr: float, loss: float) -> None:
        """One row of `log.csv`."""
        _append(self.log, f"{step},{epoch},{lr!r},{loss!r}\n")

    def add_scores(self, step: int, epoch: int, scores: Mapping[str, float]) -> None:
        """Rows of `curve.csv`, one per metric."""
        _append(self.curve, "".join(f"{step},{epoch},{name},{value!r}\n" for name, value in scores.items()))

    def add_time(self, from_step: int, step: int, seconds: float) -> None:
        """One row of `timing.csv`."""
        _append(self.timing, f"{from_step},{step},{seconds:.3f}\n")


def last_values(folder: Path) -> tuple[float, dict[str, float]]:
    """The last loss, and the last scores by metric (none where nothing was scored), from the files."""
    with open(folder / "log.csv", newline="") as file:
        *_, log = csv.DictReader(file)
    with open(folder / "curve.csv", newline="") as file:
        curve = list(csv.DictReader(file))
    last = [row for row in curve if row["step"] == curve[-1]["step"]]
    return float(log["loss"]), {row["metric"]: float(row["value"]) for row in last}


def _append(path: Path | None, text: str) -> None:
    if path is not None:
        with open(path, "a", encoding="utf-8", newline="\n") as file:
            file.write(text)


def _sync(path: Path) -> int:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size
