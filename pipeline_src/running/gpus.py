"""Which GPUs a job gets: the workflow system counts them but never says which ones.

Locally, one lock file per GPU makes a slot: a job takes as many free slots as it was granted and sees
only these GPUs. A slot is given back when the process that holds it ends, however it ends.
"""

import fcntl
import os
import random
import time
from io import TextIOWrapper
from pathlib import Path

from pipeline_src.errors import InputError

SLOTS = Path("work", "gpu-slots")


def visible_gpus() -> list[str]:
    """Identifiers of the GPUs that this process may use, found without importing torch.

    CUDA_VISIBLE_DEVICES decides where it is set (an empty one means none), else the driver's list.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [part.strip() for part in chosen.split(",") if part.strip() not in ("", "-1")]
    folder = Path("/proc/driver/nvidia/gpus")
    try:
        return [str(index) for index, _ in enumerate(sorted(folder.iterdir()))]
    except OSError:
        return []


def acquire(count: int, gpus: list[str], wait_seconds: float = 1.0) -> tuple[list[str], list[TextIOWrapper]]:
    """Wait for `count` free slots; returns their GPUs and the open lock files that hold them.

    Raises `InputError` when there are fewer GPUs than asked for. Slots that were taken while too few
    were free are given back before the next try, so that two jobs never wait for each other.
    """
    if count > len(gpus):
        raise InputError(f"{count} GPUs were granted, but only {len(gpus)} are visible: {', '.join(gpus)}")
    SLOTS.mkdir(parents=True, exist_ok=True)
    while True:
        taken: list[str] = []
        locks: list[TextIOWrapper] = []
        for gpu in gpus:
            if len(taken) == count:
                break
            lock = open(SLOTS / f"{gpu.replace('/', '_')}.lock", "w")  # noqa: SIM115 (kept open: it is the slot)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            taken.append(gpu)
            locks.append(lock)
        if len(taken) == count:
            return taken, locks
        for lock in locks:
            lock.close()
        time.sleep(wait_seconds * random.uniform(0.5, 1.5))
