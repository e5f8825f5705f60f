"""Submission of detectors that draw masks: outlines, for the servers of COCO and Cityscapes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from pipeline_src.errors import InputError
from pipeline_src.evaluation.cityscapes_instance_submission import write_instances
from pipeline_src.evaluation.cityscapes_submission import read_test_images
from pipeline_src.evaluation.coco_submission import ListedImage, write_detections
from pipeline_src.evaluation.detections import ImageId
from pipeline_src.evaluation.paste_masks import outlined
from pipeline_src.tasks.detection.submission import DetectionSubmission


class InstanceSubmission(DetectionSubmission):
    """Outlines in every listed image; see `evaluation.submit.TaskSubmission`."""

    def listed(self, roots: Sequence[Path]) -> Sequence[ListedImage]:
        """COCO's list, or all images of a set of Cityscapes, numbered."""
        if self.said.server != "cityscapes_instances":
            return super().listed(roots)
        self.names, listed = [], []
        for number, (name, file) in enumerate(read_test_images(roots[0], self.said.list)):
            self.names.append(name)
            listed.append(ListedImage(number, file, _size(file)))
        return listed

    def write(self, model: torch.nn.Module, archive: str, device: torch.device) -> dict[str, int]:
        """The numbers of images and detections; raises `InputError` where COCO would get an empty list."""
        sizes: dict[ImageId, tuple[int, int]] = {image.id: image.size for image in self.images.images}
        if self.said.server != "cityscapes_instances":
            detections = self.collect(model, device, complete=outlined)
            write_detections(archive, detections, self.said.categories, sizes)
        else:
            detections = self.collect(model, device, lambda key: self.names[int(key)], outlined)
            named: dict[ImageId, tuple[int, int]] = {
                self.names[int(number)]: size for number, size in sizes.items()
            }
            write_instances(archive, detections, named, self.said.categories)
        return {"images": len(self.images), "detections": len(detections)}


def _size(file: Path) -> tuple[int, int]:
    """Height and width; an `InputError` for a file that is no image."""
    try:
        with Image.open(file) as image:
            return image.height, image.width
    except OSError as error:
        raise InputError(f"{file}: cannot be read as an image ({error})") from None
