"""Whether the code that would run is the code that was planned."""

from collections.abc import Iterable
from pathlib import Path

from pipeline_src.errors import InputError
from pipeline_src.planning.steps import STEPS
from pipeline_src.provenance.closure import ROOT, ClosureError, code_identity, explain_change
from pipeline_src.provenance.job import Job
from pipeline_src.provenance.sidecar import FileRecord, Sidecar

Stamps = dict[Path, tuple[int, int]]
"""When files were last written, and how long they are."""


def check_code(job: Job) -> Stamps:
    """Compare the code that the job can reach with what its file says; returns the stamps of its files.

    Raises `InputError` that names what changed: a result would be recorded as that of other code.
    """
    try:
        now = code_identity(STEPS[job.step].module, job.components)
    except ClosureError as error:
        raise InputError(f"job {job.step} {job.name}: {error}") from None
    if now["digest"] != job.code["digest"]:
        changes = "; ".join(explain_change(job.code, now))
        raise InputError(
            f"job {job.step} {job.name}: the code changed after it was planned ({changes}); "
            "start the workflow again"
        )
    return _stamps(ROOT / path for path in now["modules"])


def check_inputs(job: Job) -> None:
    """Compare what the job reads with the sidecars of the jobs that were to make it.

    Raises `InputError` for a result of another plan, and for one that was changed since it was made.
    """
    made: dict[str, tuple[str, FileRecord]] = {}
    for path, digest in job.makers.items():
        sidecar = Sidecar.load(path)
        if sidecar.job.digest != digest:
            raise InputError(
                f"job {job.step} {job.name}: {path} is not of the planned {sidecar.job.step} job; "
                "start the workflow again"
            )
        made |= {one.path: (path, one) for one in sidecar.outputs.values()}
    for read in [one for name in job.inputs for one in job.input_list(name)]:
        if read in made and FileRecord.of(read) != made[read][1]:
            raise InputError(
                f"job {job.step} {job.name}: {read} is not the file that {made[read][0]} describes; "
                "remove it to have it made again"
            )


def check_unchanged(job: Job, stamps: Stamps) -> None:
    """Raise `InputError` where a file was written while it was imported: it may be either version."""
    now = _stamps(stamps)
    if changed := [str(path) for path, stamp in stamps.items() if now[path] != stamp]:
        raise InputError(
            f"job {job.step} {job.name}: {', '.join(changed)} changed while it was imported; "
            "start the workflow again"
        )


def _stamps(paths: Iterable[Path]) -> Stamps:
    found = {}
    for path in paths:
        try:
            state = path.stat()
            found[path] = (state.st_mtime_ns, state.st_size)
        except OSError:
            found[path] = (0, 0)
    return found
