"""How a machine works on a job: options of `run`, none of which changes a result.

A step takes some of them as keyword arguments; the table of steps says which.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.training.checkpoint_paths import WORK


@dataclass(frozen=True)
class Machine:
    """What a machine grants a job, and where it looks for things. `workers` None: the step's own number."""

    device: str = "auto"
    workers: int | None = None
    work: Path = WORK
    checkpoint_minutes: float = 10.0
    checkpoint_steps: int | None = None
    mirror: str | None = None
    accept_unverified: bool = False
    keep_in_dvc: bool = False

    @property
    def interval(self) -> Any:
        """When to save; imported here, since most steps save nothing."""
        from pipeline_src.training.stopping import SaveInterval

        return SaveInterval(self.checkpoint_minutes, self.checkpoint_steps)

    def for_step(self, names: Iterable[str]) -> dict[str, Any]:
        """The keyword arguments of a step that takes these options."""
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Machine":
        """What was said on the command line."""
        return cls(**{name: getattr(options, name) for name in cls.__dataclass_fields__})


def positive(text: str) -> int:
    """An integer above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the job file and all options of `run`."""
    parser.add_argument("job", help="job file (JSON)")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that the job was granted (default: 0)")
    parser.add_argument(
        "--warm",
        action="store_true",
        help="without a GPU, start from a process that has imported torch already",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes that load or decode images (default: as many as usually keep the job busy)",
    )
    parser.add_argument("--work", type=Path, default=WORK, help=f"where checkpoints live (default: {WORK})")
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--checkpoint-minutes", type=float, default=10.0, help="time between two checkpoints")
    often.add_argument(
        "--checkpoint-steps", type=positive, help="steps between two checkpoints, instead of a time"
    )
    parser.add_argument("--mirror", help="folder (or http address of one) that holds FILE or NAME/FILE")
    parser.add_argument(
        "--accept-unverified",
        action="store_true",
        help="take a file of which no checksum is known, and record its sha256",
    )
    parser.add_argument(
        "--keep-in-dvc",
        action="store_true",
        help="also keep a fetched archive in DVC's cache, so that `dvc push` can share it",
    )
