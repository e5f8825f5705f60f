"""Start a step on the GPUs that it was granted: `python -m pipeline_src.launch --gpus 1 STEP JOB ...`.

The workflow system counts GPUs but never says which ones. Locally, one lock file per GPU makes a
slot: a step takes as many free slots as it was granted and sees only these GPUs. This process
becomes the step, so that the locks go when it goes and signals reach it. Where a scheduler has set
CUDA_VISIBLE_DEVICES already (SLURM), or where there is no GPU, nothing is changed. With several
GPUs the step is started through torchrun.
"""

import argparse
import fcntl
import os
import random
import sys
import time
from io import TextIOWrapper
from pathlib import Path

from pipeline_src.errors import InputError, run_command
from pipeline_src.warm import run_warm

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


def command(step: str, arguments: list[str], ranks: int) -> list[str]:
    """The command line of a step: plain Python for one rank, torchrun for several."""
    module = f"pipeline_src.steps.{step}"
    if ranks <= 1:
        return [sys.executable, "-m", module, *arguments]
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [sys.executable, *run, "-m", module, *arguments]


def main() -> None:
    """Take slots and become the step, which holds them until it ends."""
    parser = argparse.ArgumentParser(prog="python -m pipeline_src.launch", description=__doc__)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that the step was granted (default: 0)")
    parser.add_argument(
        "--warm",
        action="store_true",
        help="without a GPU, start from a process that has imported torch already",
    )
    parser.add_argument("step", help="name of the step, such as train")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the step's own arguments")
    options = parser.parse_args()
    environment = dict(os.environ)
    scheduled = "SLURM_JOB_ID" in environment and "CUDA_VISIBLE_DEVICES" in environment
    if options.gpus > 0 and not scheduled and (gpus := visible_gpus()):
        taken, locks = acquire(options.gpus, gpus)
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        for lock in locks:
            os.set_inheritable(lock.fileno(), True)
    if options.warm and options.gpus == 0 and "SLURM_JOB_ID" not in environment:
        status = run_warm(options.step, options.arguments)
        if status is not None:
            raise SystemExit(status)
    line = command(options.step, options.arguments, options.gpus)
    os.execvpe(line[0], line, environment)


if __name__ == "__main__":
    run_command(main)
