"""Loader processes that outlive the signal that asks a training to stop.

A scheduler signals every process of a job. torch kills a loader's worker then, which makes the main
process fail in the middle of the step that it wanted to finish and save.
"""

import os
import signal
import threading
from typing import Any

from torch.utils.data import Dataset, get_worker_info

from pipeline_src.training.stopping import SIGNALS


class GuardedDataset(Dataset[Any]):
    """`dataset`, whose loader workers obey those signals from their parent alone."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._guarded_process: int | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Any) -> Any:
        if self._guarded_process != os.getpid() and get_worker_info() is not None:
            self._guarded_process = os.getpid()
            guard_process()
        return self.dataset[key]


def guard_process() -> None:
    """From now on, let only this process's parent end it with one of the signals."""
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    while signal.sigwaitinfo(SIGNALS).si_pid != os.getppid():
        pass
    os._exit(0)
