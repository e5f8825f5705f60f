"""Images and boxes of a manifest as tensors: training samples by key, evaluation items by index."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pipeline_src.data.decode_images import read_image
from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.detection.read_index import DetectionIndex, trainable
from pipeline_src.data.detection.sample_order import grouped_order
from pipeline_src.data.detection.transforms import DetectionTrainTransform
from pipeline_src.data.loader import SampleKey, epoch_order
from pipeline_src.errors import InputError

Target = dict[str, Tensor]
"""What is known of an image's objects, with n of them.

`boxes (n, 4)` float32 xyxy, `labels (n,)` int64 from 1, `area (n,)` float32 in square pixels of the
original image, `iscrowd (n,)` and `difficult (n,)` uint8, `image_id ()` int64: the place of the record in the
split, `size (2,)` int64: height and width of the original image.
"""


class DetectionDataset(Dataset[Any]):
    """One split of a detection data set described by a manifest.

    With a `DetectionTrainTransform`, `dataset[SampleKey(seed, epoch, sample)]` is `(image, target)`: float32
    `(3, h, w)` normalised, and a `Target` whose boxes are in that image. Its samples are the images with
    something to learn from, its objects those without crowds and, unless `difficult`, without difficult
    ones; `records[sample]` is a sample's place in the split. With another transform of the image, or none,
    `dataset[index]` is `(image, target, id)` for every image of the split and with all objects, whose
    boxes stay in the original image; without a transform the image is uint8 at its original size.
    `group_by_aspect` puts images of one orientation into a batch.

    Raises `InputError` when the manifest is damaged or of another task, has no such split, its files are
    gone, or nothing is left to train on.
    """

    Index: ClassVar[type[DetectionIndex]] = DetectionIndex

    def __init__(
        self,
        manifest_path: str | Path,
        split: str,
        transform: DetectionTrainTransform | Callable[[Tensor], Any] | None = None,
        *,
        difficult: bool = False,
        group_by_aspect: bool = False,
    ) -> None:
        self.index = self.Index.load(manifest_path, split)
        self.split, self.transform, self.difficult = split, transform, difficult
        self.group_by_aspect = group_by_aspect
        self.num_classes, self.classes = self.index.num_classes, self.index.classes
        self.records = np.arange(len(self.index))
        if isinstance(transform, DetectionTrainTransform):
            self.records = self.index.with_training_objects(difficult)
            if not len(self.records):
                raise InputError(f"{manifest_path}: split {split!r} has no box to train on")
        if not self.index.root.is_dir():
            raise InputError(
                f"{self.index.root}: no such folder, though {manifest_path} describes the data in it"
            )

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: SampleKey | int) -> tuple[Any, ...]:
        if isinstance(key, tuple):
            return self.training_sample(SampleKey(*key))
        if isinstance(self.transform, DetectionTrainTransform):
            raise TypeError("a training sample is asked for by SampleKey(seed, epoch, sample)")
        image = self.load(key)
        target = self.evaluation_target(key)
        if self.transform is not None:
            image = self.transform(image)
        return image, target, self.index.ids[key]

    def training_sample(self, key: SampleKey) -> tuple[Tensor, Target]:
        """The sample of a key, equal in every process and after every restart."""
        if not isinstance(self.transform, DetectionTrainTransform):
            raise TypeError("training samples need a DetectionTrainTransform")
        record = int(self.records[key.sample])
        target = self.training_target(record, trainable(self.index.objects(record), self.difficult))
        return self.transform(self.load(record), target, key.generator())

    def training_target(self, record: int, which: NDArray[np.bool_]) -> Target:
        """Those objects of a record for which `which` is true, in pixels of the original image."""
        return self.target(record, self.index.objects(record).take(which))

    def evaluation_target(self, record: int) -> dict[str, Any]:
        """All objects of a record, in pixels of the original image."""
        return self.target(record, self.index.objects(record))

    def load(self, record: int) -> Tensor:
        """Image uint8 `(3, H, W)` RGB as it is on disk; an `InputError` if it changed since the check."""
        path = self.index.root / self.index.images[record]
        image = torch.from_numpy(read_image(path)).permute(2, 0, 1).contiguous()
        width, height = self.index.sizes[record].tolist()
        if image.shape[1:] != (height, width):
            raise InputError(
                f"{path}: is {image.shape[2]}x{image.shape[1]}, but was {width}x{height} when checked"
            )
        return image

    def target(self, record: int, objects: Objects) -> Target:
        """Objects of a record as tensors, boxes in pixels of the original image."""
        width, height = self.index.sizes[record].tolist()
        return {
            "boxes": torch.from_numpy(objects.boxes.astype(np.float32)),
            "labels": torch.from_numpy(objects.labels.astype(np.int64)),
            "area": torch.from_numpy(objects.areas.astype(np.float32)),
            "iscrowd": torch.from_numpy(objects.crowd.astype(np.uint8)),
            "difficult": torch.from_numpy(objects.difficult.astype(np.uint8)),
            "image_id": torch.tensor(record),
            "size": torch.tensor([height, width]),
        }

    def landscape(self) -> np.ndarray:
        """Which samples are wider than high, `(len(self),)` bool: the two groups of batches by aspect."""
        return self.index.landscape()[self.records]

    def order(self, seed: int, epoch: int, batch: int) -> np.ndarray:
        """The order of an epoch's samples, `(length,)` int64."""
        if self.group_by_aspect:
            return grouped_order(seed, epoch, self.landscape(), batch)
        return epoch_order(seed, epoch, len(self))

    def collate(self, samples: list[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
        """A batch of lists of equal length, images and targets: sizes differ, and the detector pads."""
        images, targets = zip(*samples)
        return list(images), list(targets)
