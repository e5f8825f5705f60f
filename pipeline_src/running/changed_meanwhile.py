"""Whether code or inputs changed while a job waited or ran: refuses all that is not as it was planned."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline_src.errors import InputError
from pipeline_src.files import content_of
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
        if read in made and not Path(read).exists():
            raise InputError(
                f"job {job.step} {job.name}: {read} is missing, though {made[read][0]} describes it; "
                "start the workflow again"
            )
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


def watch(job: Job, stamps: Stamps) -> Callable[[], None]:
    """What to ask before the job's result is recorded: is it still of the planned code and inputs?

    The answer is an `InputError` where a module was written before the job imported it, or an input came to
    say something else. A module that was imported in time may change: the job goes on with what it has.
    """
    imported = _imported()
    contents = _contents(job)

    def check() -> None:
        late = _imported() - imported
        check_unchanged(job, {path: stamp for path, stamp in stamps.items() if path in late})
        now = _contents(job)
        if changed := [path for path, content in contents.items() if now[path] != content]:
            raise InputError(
                f"job {job.step} {job.name}: {', '.join(changed)} changed while the job ran, so its result "
                "is of neither version; start the workflow again"
            )

    return check


def _imported() -> set[Path]:
    found = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    return {Path(spec.origin) for spec in found if spec is not None and spec.origin}


def _contents(job: Job) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for path in [one for name in job.inputs for one in job.input_list(name)]:
        try:
            found[path] = content_of(path)
        except (InputError, OSError):
            found[path] = None
    return found


def _stamps(paths: Iterable[Path]) -> Stamps:
    found = {}
    for path in paths:
        try:
            state = path.stat()
            found[path] = (state.st_mtime_ns, state.st_size)
        except OSError:
            found[path] = (0, 0)
    return found
