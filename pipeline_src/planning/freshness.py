"""What would run and why: every job compared with the sidecar that its last run left.

A job is fresh when its outputs exist, its sidecar carries the same identity (parameters and
code), and its inputs say what they said then. File times play no part, so a clone, a touched
file or a pulled result reruns nothing. What was removed, or never brought here, and would be made
in the same way again, is made only when a job that has to run reads it.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from pipeline_src.data.archives import DIGEST_LENGTH
from pipeline_src.errors import InputError
from pipeline_src.files import content_of, digest_file
from pipeline_src.planning.library_versions import library_changes
from pipeline_src.planning.planned_job import Key, Plan, PlannedJob, without_null
from pipeline_src.provenance.closure import explain_change
from pipeline_src.provenance.sidecar import InputRecord, Sidecar, as_list, size_of
from pipeline_src.training.checkpoint_paths import WORK, checkpoint_files, checkpoint_folder, step_and_content

READ_WHOLE = 4 * 2**20
"""Bytes up to which a result is read while planning, to compare it with its sidecar."""

NOT_DONE = "not done yet"
CODE_CHANGED = "code changed: "
REBUILT = "is rebuilt ({} {})"
NOT_NEEDED = "not here, and nothing needs it"
NOT_ASKED_FOR = "made only when it is asked for"


@dataclass(frozen=True)
class Status:
    """Whether a job is `fresh`; if not, why, and the step at which a training would resume.

    A job that left nothing here and that no job to run reads is not fresh, but not `needed` either.
    """

    reasons: tuple[str, ...] = ()
    resume_step: int | None = None
    needed: bool = True

    @property
    def fresh(self) -> bool:
        """Its results are here and say what they should."""
        return not self.reasons

    @property
    def to_run(self) -> bool:
        """Something to do."""
        return not self.fresh and self.needed

    @property
    def why(self) -> str | None:
        """All reasons in one line."""
        return "; ".join(self.reasons) or None


def assess(plan: Plan) -> dict[Key, Status]:
    """The status of every job, inputs first."""
    statuses: dict[Key, Status] = {}
    for job in plan.jobs.values():
        statuses[job.key] = _assess_one(job, plan, statuses)
    users = plan.users()
    for job in reversed(plan.jobs.values()):
        absent = statuses[job.key].reasons == (NOT_DONE,)
        if job.on_demand and not statuses[job.key].fresh:
            statuses[job.key] = Status((NOT_ASKED_FOR, *statuses[job.key].reasons), needed=False)
        elif absent and users[job.key] and not any(statuses[user.key].to_run for user in users[job.key]):
            statuses[job.key] = Status((NOT_NEEDED,), statuses[job.key].resume_step, needed=False)
    return statuses


def _assess_one(job: PlannedJob, plan: Plan, statuses: dict[Key, Status]) -> Status:
    try:
        record = _record(job)
    except InputError as error:
        return Status((f"its record cannot be used: {error}",), _resume_step(job))
    if record is None:
        reasons = [NOT_DONE]
    else:
        reasons = [
            *_missing_outputs(job),
            *_changed_outputs(job, record),
            *_identity_changes(job, record),
            *_input_changes(job, record, plan, statuses),
            *_other_libraries(record, plan),
        ]
    return Status(tuple(reasons), _resume_step(job) if reasons else None)


def _record(job: PlannedJob) -> Sidecar | None:
    """The job's sidecar, None where there is none; raises `InputError` for a damaged one."""
    return Sidecar.load(job.sidecar) if Path(job.sidecar).exists() else None


def _missing_outputs(job: PlannedJob) -> list[str]:
    missing = [path for path in job.outputs.values() if not Path(path).exists()]
    return [f"missing: {', '.join(missing)}"] if missing else []


def _changed_outputs(job: PlannedJob, record: Sidecar) -> list[str]:
    """Results that are not what the job's own sidecar says.

    Of files above `READ_WHOLE`, and of folders, only the size is compared: whoever reads a file compares its
    digest, and `verify` all of them.
    """
    changed = []
    for name, path in job.outputs.items():
        made = record.outputs.get(name)
        if made is None or not (state := _state(path)):
            continue
        if S_ISDIR(state.st_mode):
            same = size_of(path) == made.bytes
        else:
            same = state.st_size == made.bytes and (
                made.bytes > READ_WHOLE or _digest_at(path, state.st_mtime_ns) == made.sha256
            )
        if not same:
            changed.append(path)
    return [f"changed since it was made: {', '.join(changed)}"] if changed else []


def _state(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None


@cache
def _digest_at(path: str, _mtime_ns: int) -> str | None:
    try:
        return digest_file(path)
    except OSError:
        return None


def _identity_changes(job: PlannedJob, record: Sidecar) -> list[str]:
    done = record.job
    if done.digest == job.digest:
        return [
            f"the {name} that is expected changed"
            for name in set(DIGEST_LENGTH) & set(job.not_identifying)
            if job.params.get(name) and record.facts.get(name) != job.params[name]
        ]
    reasons = []
    parameters = changed_keys(without_null(done.params), without_null(job.params))
    if job.note:
        reasons.append(job.note)
        parameters = [key for key in parameters if not key.startswith("fingerprint")]
    if parameters:
        reasons.append(f"parameters changed: {', '.join(parameters)}")
    if code := explain_change(done.code or {}, job.code):
        reasons.append(f"{CODE_CHANGED}{'; '.join(code)}")
    return reasons or ["identity changed"]


def _input_changes(job: PlannedJob, record: Sidecar, plan: Plan, statuses: dict[Key, Status]) -> list[str]:
    used = record.inputs
    reasons = [
        f"input {name} {'added' if name in job.inputs else 'dropped'}"
        for name in sorted(set(used) ^ set(job.inputs))
    ]
    for name in set(used) & set(job.inputs):
        now, before = as_list(job.inputs[name]), as_list(used[name])
        if len(now) != len(before):
            reasons.append(f"input {name}: {len(now)} files instead of {len(before)}")
            continue
        for path, entry in zip(now, before, strict=True):
            maker = plan.makers.get(path)
            if maker is not None and statuses[maker.key].reasons == (NOT_DONE,):
                if not _would_be_the_same(maker, plan.lineage(path), entry):
                    reasons.append(f"input {name} {REBUILT.format(maker.step, maker.name)}")
            elif maker is not None and not statuses[maker.key].fresh:
                reasons.append(f"input {name} {REBUILT.format(maker.step, maker.name)}")
            elif _content(path) != entry.content:
                reasons.append(f"input {name} changed: {path}")
    return sorted(set(reasons))


def _other_libraries(record: Sidecar, plan: Plan) -> list[str]:
    changes = library_changes(record) if plan.strict_environment else []
    return [f"library versions changed: {', '.join(changes)}"] if changes else []


def _would_be_the_same(maker: PlannedJob, lineage: str | None, entry: InputRecord) -> bool:
    """Whether a file that is not here was made in the way in which it would be made now."""
    expected = maker.params.get("sha256") if "sha256" in maker.not_identifying else None
    return entry.lineage == lineage and expected in (None, entry.content)


def _content(path: str) -> str | None:
    try:
        return _content_at(path, Path(path).stat().st_mtime_ns)
    except (OSError, InputError):
        return None


@cache
def _content_at(path: str, _mtime_ns: int) -> str:
    return content_of(path)


def _resume_step(job: PlannedJob) -> int | None:
    """Optimiser steps that an interrupted training has saved under this very identity."""
    if job.step != "train":
        return None
    folder = checkpoint_folder(WORK, job.scale, job.name, job.digest)
    return max((step_and_content(path)[0] for path in checkpoint_files(folder)), default=None)


def changed_keys(before: Any, after: Any, path: str = "") -> list[str]:
    """Key paths in which two parameter trees differ, with old and new values where they are short."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}.{key}" if path else str(key)
            if key not in before or key not in after:
                found.append(f"{below} {'added' if key in after else 'removed'}")
            else:
                found.extend(changed_keys(before[key], after[key], below))
        return found
    if before == after:
        return []
    texts = [str(before), str(after)]
    return [f"{path} ({texts[0]} -> {texts[1]})" if max(map(len, texts)) < 60 else path]
