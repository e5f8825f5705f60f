"""Making tables, figures and pages again, beside the ones that are there, from the results that they read.

Nothing is trained or evaluated, so it takes seconds and no GPU. A step gets the same job with other paths
for its outputs, and the new files have to be the old ones byte for byte.
"""

import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.files import digest_of, read_json
from pipeline_src.provenance.job import Job
from pipeline_src.provenance.sidecar import FileRecord, Sidecar
from pipeline_src.running.run_job import step_function

RECOMPUTED = ("tabulate", "join", "table", "figure", "report")
"""Steps whose results follow from stored ones; `evaluate` is looked at by its confusion matrix."""

DRAWN = (".svg", ".png", ".html")
"""Files whose bytes also hang on the version of the package that draws them."""


def recompute(job: Job, folder: Path) -> list[str]:
    """Do the job again with its outputs in `folder`, and say in one line each which files differ.

    A page is made beside the old one, since its links are relative.
    """
    record = Sidecar.load(job.outputs["sidecar"])
    made = {name: str(folder / Path(path).name) for name, path in job.outputs.items()}
    page = job.outputs.get("report")
    if page is not None:
        made["report"] = str(Path(page).with_name(f".again-{Path(page).name}"))
    try:
        step_function(job)(replace(job, outputs=made))
        return [
            f"{path}: made again it is another file{_versions(record, path)}"
            for name, path in job.outputs.items()
            if name in record.outputs and _differs(record.outputs[name], made[name])
        ]
    except InputError as error:
        return [f"{job.outputs['sidecar']}: cannot be made again ({error})"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if page is not None:
            Path(made["report"]).unlink(missing_ok=True)


def check_metrics(path: str) -> list[str]:
    """Whether a metrics.json's content is its digest, and its scores follow from its confusion matrix."""
    metrics: dict[str, Any] = read_json(path)
    said = {key: value for key, value in metrics.items() if key != "content"}
    faults = [] if metrics.get("content") == digest_of(said) else [f"{path}: its content is not what it says"]
    if "confusion" in said:
        confusion = Confusion(len(said["classes"]))
        confusion.counts += said["confusion"]
        scores = confusion.scores()
        wrong = [name for name in ("miou", "pixel_accuracy", "mean_accuracy") if scores[name] != said[name]]
        if scores["per_class_iou"] != list(said["per_class"].values()):
            wrong.append("per_class")
        faults += [f"{path}: {name} does not follow from its confusion matrix" for name in wrong]
    return faults


def _differs(recorded: FileRecord, path: str) -> bool:
    now = FileRecord.of(path)
    return (now.bytes, now.sha256) != (recorded.bytes, recorded.sha256)


def _versions(record: Sidecar, path: str) -> str:
    if not path.endswith(DRAWN):
        return ""
    then = record.environment.get("packages", {})
    other = [f"{name} {was}, here {now}" for name, was in then.items() if (now := _version(name)) != was]
    return f" (it was drawn with {'; '.join(other)})" if other else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
