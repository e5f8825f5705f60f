"""Submission of segmentation networks: masks, for the servers of VOC2012 and Cityscapes."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from pipeline_src.data.decode_images import read_image
from pipeline_src.data.readers.voc2012 import voc_root
from pipeline_src.evaluation.cityscapes_submission import read_test_images, write_label_ids
from pipeline_src.evaluation.inference import inference_of
from pipeline_src.evaluation.submit import Submission
from pipeline_src.evaluation.voc_submission import predict, read_test_list, write_submission
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.provenance.job import Job

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskServer:
    """How a server's images are listed below the data set's folders, and how masks are written for it."""

    images: Callable[[Sequence[Path], str], list[tuple[str, Path]]]
    write: Callable[[Iterable[tuple[str, NDArray[Any]]], str], int]


SERVERS = {
    "voc2012": MaskServer(lambda roots, name: read_test_list(voc_root(roots), name), write_submission),
    "cityscapes": MaskServer(lambda roots, name: read_test_images(roots[0], name), write_label_ids),
}


class SegmentationSubmission:
    """Masks of every image of a test list; see `evaluation.submit.TaskSubmission`."""

    build = staticmethod(build_segmentor)

    def __init__(self, job: Job, said: Submission, roots: Sequence[Path]) -> None:
        """Raises `InputError` for images that are not there."""
        self.name, self.said = job.name, said
        self.server = SERVERS[said.server]
        self.records = self.server.images(roots, said.list)

    def write(self, model: torch.nn.Module, archive: str, device: torch.device) -> dict[str, int]:
        """The number of images."""
        return {"images": self.server.write(self._predictions(model, device), archive)}

    def _predictions(
        self, model: torch.nn.Module, device: torch.device
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        section, inference = self.said.model, inference_of(self.said.way)
        mean, std, classes = section["backbone"]["mean"], section["backbone"]["std"], section["num_classes"]
        for number, (image_id, file) in enumerate(self.records, start=1):
            yield image_id, predict(model, read_image(file), mean, std, classes, device, image_id, inference)
            if number % max(1, len(self.records) // 10) == 0:
                logger.info("%s: %d of %d images", self.name, number, len(self.records))
