"""What stays of a finished training, so that losing its outputs does not cost the training again.

The final weights and logs stand in the job's checkpoint folder next to a record of their digests.
The weights in the results are a hard link to them, so they take no room twice.
"""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from pipeline_src.files import atomic_path, digest_file, read_json, write_json
from pipeline_src.training.checkpoint import CheckpointFolder, changed_inputs

logger = logging.getLogger(__name__)

RECORD = "finished.json"
WEIGHTS = "model.safetensors"
FILES = (WEIGHTS, "log.csv", "curve.csv")


def write_finished(store: CheckpointFolder, facts: dict[str, Any]) -> dict[str, Any]:
    """Record that the files of `FILES` in the folder are the result; checkpoints are not needed any more.

    Returns the record, which holds `facts` under the key `facts`.
    """
    digests = {name: digest_file(store.folder / name) for name in FILES}
    record = {"job": store.job, "inputs": store.inputs, "files": digests, "facts": facts}
    write_json(store.folder / RECORD, record)
    store.clear()
    return record


def read_finished(store: CheckpointFolder) -> dict[str, Any] | None:
    """The record of a finished training whose files are all as they were; None if there is none.

    Raises `InputError` for the record of another job.
    """
    path = store.folder / RECORD
    if not path.is_file():
        return None
    record: dict[str, Any] = read_json(path)
    store.check_owner(path, record["job"])
    problem = None
    if record["inputs"] != store.inputs:
        problem = changed_inputs(record["inputs"], store.inputs)
    for name, digest in record["files"].items():
        file = store.folder / name
        if not file.is_file() or digest_file(file) != digest:
            problem = f"{name} is missing or was changed"
    if problem is not None:
        logger.warning("%s: %s; the training starts anew", path, problem)
        path.unlink()
        return None
    return record


def copy_out(source: Path, target: Path, *, link: bool = False) -> None:
    """Put `source` at `target` atomically, as a hard link where asked and possible."""
    with atomic_path(target) as temporary:
        if link:
            temporary.unlink()
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)
        else:
            shutil.copyfile(source, temporary)
