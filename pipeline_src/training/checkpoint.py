"""Checkpoints of one job: atomic, verified before use, and bound to the job and its inputs.

A checkpoint is one file whose name holds its step and a digest of its bytes, so that which one is
newest, and whether it is whole, follows from the folder alone. `torch.save` into a temporary file,
fsync, rename, fsync of the folder; the last two are kept. The folder is no declared output of the
workflow: a scheduler that removes a failed job's outputs must not remove what it resumes from.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, fsync_folder
from pipeline_src.training.checkpoint_paths import checkpoint_file, checkpoint_files, step_and_content

logger = logging.getLogger(__name__)

KEEP = 2
TEMPORARY = ".saving-"


class CheckpointFolder:
    """Where one job keeps its checkpoints.

    `job` is the job's digest and `inputs` what its inputs say (`files.content_of`), by name. A
    checkpoint of another job is refused: it got here by hand. One of the same job with other inputs
    (the data changed) is stale and dropped.
    """

    def __init__(self, folder: Path, job: str, inputs: dict[str, Any]) -> None:
        self.folder = folder
        self.job = job
        self.inputs = inputs

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, keep other processes out of it, and clear what a killed one left half-written.

        A record lock (`lockf`), since it ends with this process: a `flock` would live on in the
        loader's workers for a while after a kill.

        Raises `InputError` when another process trains the same job.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "w") as handle:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise InputError(
                    f"{self.folder}: another process is training this job; wait for it or end it"
                ) from None
            for leftover in self.folder.glob(f"{TEMPORARY}*"):
                leftover.unlink(missing_ok=True)
            yield

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write the checkpoint of `step` finished updates and drop all but the newest two.

        Raises `InputError` when the disk does not take it; the earlier checkpoints stay.
        """
        state = {"job": self.job, "inputs": self.inputs, "step": step, **state}
        temporary = self.folder / f"{TEMPORARY}{os.getpid()}"
        try:
            with open(temporary, "wb") as file:
                hashing = _HashingFile(file)
                torch.save(state, hashing)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            path = self.folder / checkpoint_file(step, hashing.hexdigest())
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:
            # torch reports a failed write of its zip writer as a RuntimeError.
            raise InputError(
                f"{self.folder}: cannot write the checkpoint of step {step} ({error})"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(self.folder)
        for old in self.paths()[KEEP:]:
            old.unlink(missing_ok=True)
        return path

    def paths(self) -> list[Path]:
        """Checkpoint files, newest first, unverified."""
        return checkpoint_files(self.folder)

    def newest(self, usable: Callable[[dict[str, Any]], bool] = lambda state: True) -> Path | None:
        """The newest checkpoint that is whole and `usable`; whatever is newer is removed.

        Raises `InputError` for a checkpoint of another job.
        """
        for path, reason in self._candidates(usable):
            if reason is None:
                return path
            logger.warning("%s: %s; it is dropped", path, reason)
            path.unlink()
        return None

    def _candidates(self, usable: Callable[[dict[str, Any]], bool]) -> Iterator[tuple[Path, str | None]]:
        for path in self.paths():
            if digest_file(path)[:16] != step_and_content(path)[1]:
                yield path, "damaged"
                continue
            state = load_checkpoint(path)
            self.check_owner(path, state["job"])
            if state["inputs"] != self.inputs:
                yield path, changed_inputs(state["inputs"], self.inputs)
            elif not usable(state):
                yield path, "its log files are gone"
            else:
                yield path, None

    def check_owner(self, path: Path, job: str) -> None:
        """Refuse a file of another job in this job's folder."""
        if job != self.job:
            raise InputError(
                f"{path}: belongs to job {job[:12]}, not to {self.job[:12]}; remove it to start anew"
            )

    def clear(self) -> None:
        """Remove all checkpoints: the training is finished."""
        for path in self.paths():
            path.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint file, on the CPU, without running any code from it."""
    return torch.load(path, map_location="cpu", weights_only=True)


def changed_inputs(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Which inputs differ, in words."""
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return f"made from another {', '.join(names)}"


class _HashingFile:
    """A file that is only written to, and hashed on the way."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._hasher = hashlib.sha256()

    def write(self, data: Any) -> int:
        self._hasher.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()[:16]
