"""Submission of detectors, as step `export_submission` describes it: boxes, for COCO's server."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline_src.data.detection.transforms import DetectionEvalTransform
from pipeline_src.data.images import read_image
from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_submission import ListedImage, read_image_info, write_detections
from pipeline_src.evaluation.detection import collect_detections
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.multi_scale import AtSizes
from pipeline_src.evaluation.trained import load_trained
from pipeline_src.files import digest_file
from pipeline_src.models.detectors.build import build_detector
from pipeline_src.provenance.job import Job
from pipeline_src.training.runtime import configure, describe_device

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors")


class ListedImages:
    """Images without known objects, as `collect_detections` reads them."""

    def __init__(self, images: Sequence[ListedImage], transform: Callable[[Tensor], Any]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, dict[str, Tensor], str]:
        """The transformed image, a target without objects, and the id.

        Raises `InputError` for an image that cannot be read, or is not of the size that its list says.
        """
        key, file, (height, width) = self.images[index]
        image = torch.from_numpy(read_image(file)).permute(2, 0, 1).contiguous()
        if image.shape[1:] != (height, width):
            raise InputError(
                f"{file}: is {image.shape[2]}x{image.shape[1]}, but image {key} of the list is "
                f"{width}x{height}"
            )
        target = {
            "boxes": torch.zeros(0, 4),
            "labels": torch.zeros(0, dtype=torch.int64),
            "size": torch.tensor([height, width]),
        }
        return self.transform(image), target, str(key)


def write_boxes(job: Job, roots: Sequence[Path], device: torch.device) -> None:
    """Detect objects in every listed image below `roots`; write the archive and the sidecar.

    Raises `InputError` for weights that are not the run's, images that are not there or not as listed, and
    where nothing was detected at all.
    """
    params = job.params
    settings = configure(threads=params["threads"], deterministic=params["deterministic"], device=device)
    norm, test = params["model"]["backbone"], params["model"]["detector"]["test"]
    sizes = tuple(
        DetectionEvalTransform.of(scale, norm["mean"], norm["std"])
        for scale in job.section_as(Evaluation, "evaluation").scales or []
    )
    images = ListedImages(read_image_info(roots, params["list"]), AtSizes(sizes))
    model = load_trained(params["model"], job.input("train"), device, build_detector)
    detections, _ = collect_detections(
        model,
        images,
        params["model"]["num_classes"],
        device,
        image_id=int,
        iou=test["nms_iou"],
        limit=test["detections"],
        title=job.name,
    )
    write_detections(job.outputs["archive"], detections, params["categories"])
    job.write_sidecar(
        digest_file(job.outputs["archive"]),
        PACKAGES,
        images=len(images),
        detections=len(detections),
        settings=settings,
        device=describe_device(device),
    )
