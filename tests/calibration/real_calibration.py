"""Calibrate and train jobs of one run, on the tiny data set of the training tests."""

from pathlib import Path
from typing import Any
from unittest import mock

from pipeline_src.errors import Interrupted
from pipeline_src.provenance.job import Job
from pipeline_src.steps.calibrate import calibrate_job
from pipeline_src.training.stopping import StopRequest
from tests.calibration.networks import section
from tests.jobs import change_job, write_job_file
from tests.training.real_training import CLASSES, write_real_job
from tests.training.toy_training import recipe

AUGMENT = {"resize": {"ratio": [0.5, 2.0]}, "crop": [64, 48], "flip": 0.5}


def model_section(form: str | None = "folded", decoder: str = "fcn", **options: Any) -> dict[str, Any]:
    """A model section for the tiny data set."""
    return {**section(decoder, form, **options), "num_classes": CLASSES}


def calibrate_job_file(
    folder: Path, manifest: Path, model: dict[str, Any], seed: int = 0, **changes: Any
) -> Path:
    """A calibrate job below `folder`; its statistics go to `folder/statistics.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    values = recipe(
        **{"augment": AUGMENT, "batch": 2, "accumulate": 1, "freeze_bn_at_epoch": None, **changes}
    )
    job = {
        "step": "calibrate",
        "name": "se/with/seed-0",
        "scale": "demo",
        "params": {
            "data": {"num_classes": CLASSES, "ignore_index": 255},
            "model": model,
            "recipe": {key: values[key] for key in ("batch", "accumulate", "augment", "freeze_bn_at_epoch")},
            "seed": seed,
            "threads": 1,
            "deterministic": True,
        },
        "inputs": {"manifest": str(manifest)},
        "outputs": {"sidecar": str(folder / "calibrate.json"), "statistics": str(folder / "statistics.json")},
        "digest": "b" * 64,
    }
    return write_job_file(folder, **job)


def calibrate(folder: Path, manifest: Path, model: dict[str, Any], seed: int = 0, **changes: Any) -> Path:
    """Run the job; returns its statistics."""
    job = Job.load(calibrate_job_file(folder, manifest, model, seed, **changes))
    calibrate_job(job, "cpu", 0, folder / "work")
    return folder / "statistics.json"


def train_job_file(
    folder: Path, manifest: Path, model: dict[str, Any], statistics: Path | None, seed: int = 0
) -> Path:
    """A train job that reads the statistics."""
    path = write_real_job(folder, manifest, model, validate_every=None, augment=AUGMENT)

    def change(job: Job) -> None:
        job.params["seed"] = seed
        if statistics is not None:
            job.inputs["statistics"] = str(statistics)

    return change_job(path, change)


def calibrate_on_a_rank(job: str, work: str) -> str:
    """What every rank of a distributed calibration does; returns the statistics."""
    loaded = Job.load(job)
    calibrate_job(loaded, "cpu", 0, Path(work))
    return loaded.outputs["statistics"]


def stop_calibrating_on_a_rank(job: str, work: str) -> str:
    """The same, for a calibration that is asked to stop at once; returns what it says then."""
    asked = property(lambda self: "SIGTERM", lambda self, value: None)
    with mock.patch.object(StopRequest, "requested", asked, create=True):
        try:
            calibrate_on_a_rank(job, work)
        except Interrupted as stop:
            return str(stop)
    return "was not stopped"
