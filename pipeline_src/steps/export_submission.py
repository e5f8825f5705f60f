"""Step `export_submission`: a trained run's predictions of a hidden test set, for its evaluation server.

    params   `Submission` of pipeline_src/evaluation/submit.py
    inputs   train: train.json of the run; images: records of the archives, unless `root` is said

The archive is what is uploaded: a tar.gz (VOC2012) or zip (Cityscapes, COCO).
"""

from pathlib import Path

from pipeline_src.components import load
from pipeline_src.evaluation.device import choose_device
from pipeline_src.evaluation.submit import submit
from pipeline_src.files import read_json
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.task import task_of


def export_submission(job: Job, device: str = "auto") -> None:
    """Predict every image of the test list and write the archive and the sidecar, as the job's task does.

    Raises `InputError` for weights that are not the run's, and for images or a setting that cannot be used.
    """
    task = load(f"submission.{task_of(job.params['model'])}")
    submit(job, task, _roots(job), choose_device(device))


def _roots(job: Job) -> list[Path]:
    """The folders that hold the data set."""
    if (root := job.params.get("root")) is not None:
        return [Path(root)]
    return [Path(read_json(record)["root"]) for record in job.input_list("images")]
