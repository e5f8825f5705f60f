"""Results that were made by other code, taken over as those of the present code: the user's word, on record.

After a refactoring every job that can reach the edited code would run again. Where only code changed, and
the user says that it computes the same, the record is rewritten for the present code, and says so for ever.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline_src.planning.freshness import CODE_CHANGED, REBUILT, assess
from pipeline_src.planning.planned_job import Key, Plan, PlannedJob
from pipeline_src.provenance.git import describe_commit
from pipeline_src.provenance.sidecar import InputRecord, Sidecar


@dataclass(frozen=True)
class Acceptable:
    """A job whose result can be taken over, and what changed in its code."""

    job: PlannedJob
    changes: tuple[str, ...]


def acceptable(plan: Plan) -> list[Acceptable]:
    """Jobs with a whole result of which nothing but code differs: their own, or that of such jobs before."""
    statuses = assess(plan)
    found: dict[Key, Acceptable] = {}
    settled: set[Key] = {key for key, status in statuses.items() if status.fresh}
    for key, job in plan.jobs.items():
        status = statuses[key]
        own = tuple(reason for reason in status.reasons if not reason.startswith(CODE_CHANGED))
        waiting = {
            REBUILT.format(maker.step, maker.name) for maker in plan.needed_by(job) if maker.key in settled
        }
        if status.fresh or not Path(job.sidecar).exists():
            continue
        if all(any(reason.endswith(maker) for maker in waiting) for reason in own):
            settled.add(key)
            if len(own) < len(status.reasons):
                changes = tuple(r.removeprefix(CODE_CHANGED) for r in status.reasons if r not in own)
                found[key] = Acceptable(job, changes)
    return list(found.values())


def accept(plan: Plan, jobs: list[Acceptable], reason: str) -> None:
    """Rewrite the records of the jobs for the present code, each with the reason and what changed.

    What reads their results is told their new origin, so that it need not be made again.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for one in jobs:
        job, sidecar = one.job, Sidecar.load(one.job.sidecar)
        entry = {
            "when": now,
            "reason": reason,
            "changes": list(one.changes),
            "made_by": sidecar.job.digest,
            "git": describe_commit(),
        }
        facts = {**sidecar.facts, "accepted": [*sidecar.facts.get("accepted", []), entry]}
        record = replace(sidecar.job, digest=job.digest, code=job.code)
        replace(sidecar, job=record, facts=facts).write(job.sidecar)
    for job in plan.jobs.values():
        if Path(job.sidecar).exists():
            _tell_origins(plan, job)


def _tell_origins(plan: Plan, job: PlannedJob) -> None:
    """Write the plan's lineages into a record whose job is the planned one."""
    sidecar = Sidecar.load(job.sidecar)
    if sidecar.job.digest != job.digest:
        return
    inputs = {name: _with_origin(plan, entry) for name, entry in sidecar.inputs.items()}
    if inputs != sidecar.inputs:
        replace(sidecar, inputs=inputs).write(job.sidecar)


def _with_origin(plan: Plan, entry: InputRecord | list[InputRecord]) -> InputRecord | list[InputRecord]:
    if isinstance(entry, list):
        return [replace(one, lineage=plan.lineage(one.path)) for one in entry]
    return replace(entry, lineage=plan.lineage(entry.path))
