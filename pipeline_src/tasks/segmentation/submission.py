"""Submission of segmentation networks, as step `export_submission` describes it: masks."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from pipeline_src.data.images import read_image
from pipeline_src.data.readers.voc2012 import voc_root
from pipeline_src.evaluation.cityscapes_submission import read_test_images, write_label_ids
from pipeline_src.evaluation.inference import inference_of
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.trained import load_trained
from pipeline_src.evaluation.voc_server import predict, read_test_list, write_submission
from pipeline_src.files import digest_file
from pipeline_src.models.build import build_model
from pipeline_src.options import from_json
from pipeline_src.provenance.job import Job
from pipeline_src.training.runtime import configure, describe_device

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors")
logger = logging.getLogger(__name__)


def write_masks(job: Job, roots: Sequence[Path], device: torch.device) -> None:
    """Predict the masks of every image of the test list below `roots`; write the archive and the sidecar.

    Raises `InputError` for weights that are not the run's, or for images that are not there.
    """
    params = job.params
    inference = inference_of(from_json(Evaluation, params.get("evaluation", {})))
    settings = configure(threads=params["threads"], deterministic=params["deterministic"], device=device)
    cityscapes = params.get("server") == "cityscapes"
    if cityscapes:
        records = read_test_images(roots[0], params.get("list", "test"))
    else:
        records = read_test_list(voc_root(roots), params.get("list", "test"))
    model = load_trained(params["model"], job.input("train"), device, build_model)
    norm, num_classes = params["model"]["backbone"], params["model"]["num_classes"]

    def predictions() -> Iterator[tuple[str, NDArray[Any]]]:
        for number, (image_id, file) in enumerate(records, start=1):
            image = read_image(file)
            yield (
                image_id,
                predict(model, image, norm["mean"], norm["std"], num_classes, device, image_id, inference),
            )
            if number % max(1, len(records) // 10) == 0:
                logger.info("%s: %d of %d images", job.name, number, len(records))

    write = write_label_ids if cityscapes else write_submission
    count = write(predictions(), job.outputs["archive"])
    job.write_sidecar(
        digest_file(job.outputs["archive"]),
        PACKAGES,
        images=count,
        settings=settings,
        device=describe_device(device),
    )
