"""Submission of detectors: boxes, for COCO's server."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline_src.data.decode_images import read_image
from pipeline_src.data.detection.transforms import DetectionEvalTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_submission import ListedImage, read_image_info, write_detections
from pipeline_src.evaluation.detect_multi_scale import AtSizes
from pipeline_src.evaluation.detection_pass import Complete, collect_detections
from pipeline_src.evaluation.detections import Detections, ImageId
from pipeline_src.evaluation.submit import Submission
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.provenance.job import Job


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


class DetectionSubmission:
    """Boxes in every listed image; see `evaluation.submit.TaskSubmission`."""

    build = staticmethod(build_detector)

    def __init__(self, job: Job, said: Submission, roots: Sequence[Path]) -> None:
        """Raises `InputError` for images that are not there or not as listed."""
        self.name, self.said = job.name, said
        norm = said.model["backbone"]
        sizes = tuple(
            DetectionEvalTransform.of(scale, norm["mean"], norm["std"]) for scale in said.way.scales or []
        )
        self.images = ListedImages(self.listed(roots), AtSizes(sizes))

    def listed(self, roots: Sequence[Path]) -> Sequence[ListedImage]:
        """The images to predict."""
        return read_image_info(roots, self.said.list)

    def write(self, model: torch.nn.Module, archive: str, device: torch.device) -> dict[str, int]:
        """The numbers of images and detections; raises `InputError` where nothing was detected at all."""
        detections = self.collect(model, device)
        write_detections(archive, detections, self.said.categories)
        return {"images": len(self.images), "detections": len(detections)}

    def collect(
        self,
        model: torch.nn.Module,
        device: torch.device,
        image_id: Callable[[str], ImageId] = int,
        complete: Complete | None = None,
    ) -> Detections:
        """What `model` finds in the images; see `collect_detections`."""
        test = self.said.model["detector"]["test"]
        detections, _ = collect_detections(
            model,
            self.images,
            self.said.model["num_classes"],
            device,
            image_id=image_id,
            complete=complete,
            iou=test["nms_iou"],
            limit=test["detections"],
            title=self.name,
        )
        return detections
