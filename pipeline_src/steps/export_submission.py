"""Step `export_submission`: a trained run's predictions of a hidden test set, for its evaluation server.

python -m pipeline_src.steps.export_submission JOB.json [--device auto|cpu|cuda]

params   {"model", "threads", "deterministic",
          "evaluation": {"mode": "whole"}, # how a picture becomes logits or boxes, as in `evaluate`;
                                           # optional for masks
          "server": "voc2012",             # optional, for masks: or "cityscapes"
          "list": "test",                  # VOC's list in ImageSets/Segmentation, Cityscapes' set (both
                                           # optional), or COCO's annotations/image_info_<list>.json
          "categories": [1, 2, ...],       # for boxes: COCO's ids of labels 1, 2, ...
          "root": FOLDER}                  # instead of inputs["images"]: a folder that holds the data set
inputs   {"train": train.json, "images": [records of the extracted test archives, with "root"]}
outputs  {"sidecar", "archive": what to upload, a tar.gz (VOC2012) or zip (Cityscapes, COCO)}
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline_src.components import load
from pipeline_src.errors import run_command
from pipeline_src.evaluation.device import choose_device
from pipeline_src.files import read_json
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.task import task_of


def export_submission(job: Job, device: torch.device) -> None:
    """Predict every image of the test list and write the archive and the sidecar, as the job's task does.

    Raises `InputError` for weights that are not the run's, and for images or a setting that cannot be used.
    """
    load(f"submission.{task_of(job.params['model'])}")(job, _roots(job), device)


def _roots(job: Job) -> list[Path]:
    """The folders that hold the data set."""
    if (root := job.params.get("root")) is not None:
        return [Path(root)]
    records = job.inputs["images"]
    assert not isinstance(records, str), "input images is no list"
    return [Path(read_json(record)["root"]) for record in records]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job file named on the command line."""
    parser = argparse.ArgumentParser(description="Write an evaluation server's archive for one trained run.")
    parser.add_argument("job", help="job file (JSON)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    export_submission(Job.load(options.job, "export_submission"), choose_device(options.device))


if __name__ == "__main__":
    run_command(main)
