"""The records of a manifest as tensors: training samples by key, evaluation items by index."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from pipeline_src.data.decode_images import read_image, read_mask
from pipeline_src.data.loader import SampleKey, epoch_order
from pipeline_src.data.read_manifest import IGNORE_INDEX, Manifest
from pipeline_src.data.segmentation.transforms import EvalTransform, TrainTransform
from pipeline_src.errors import InputError


class SegmentationDataset(Dataset[Any]):
    """One split of a data set described by a manifest.

    With a `TrainTransform`, `dataset[SampleKey(seed, epoch, sample)]` is `(image, mask)`: float32
    `(3, h, w)` normalised, int64 `(h, w)` with 255 for unlabelled pixels. With an `EvalTransform`,
    `dataset[index]` is `(image, mask, id)`: float32 `(3, H, W)` normalised and uint8 `(H, W)`, both
    at the original size. Without a transform, `dataset[index]` has the image as uint8.

    `ignore_index` is 255 always, `num_classes` and `classes` are the manifest's.

    Raises `InputError` when the manifest is damaged, has no such split, or its files are gone.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self, manifest_path: str | Path, split: str, transform: TrainTransform | EvalTransform | None = None
    ) -> None:
        manifest = Manifest.load(manifest_path)
        self.split, self.transform = split, transform
        self.root = manifest.root
        self.records = manifest.records(split)
        self.num_classes, self.classes = manifest.num_classes, manifest.classes
        self._label_map = None
        if manifest.label_map is not None:
            self._label_map = np.array(manifest.label_map, dtype=np.uint8)
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder, though {manifest_path} describes the data in it")

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: SampleKey | int) -> tuple[Any, ...]:
        if isinstance(key, tuple):
            return self.training_sample(SampleKey(*key))
        image, mask = self.load(key)
        if isinstance(self.transform, EvalTransform):
            image, mask = self.transform(image, mask)
        elif self.transform is not None:
            raise TypeError("a training sample is asked for by SampleKey(seed, epoch, sample)")
        return image, mask, self.records[key].id

    def load(self, index: int) -> tuple[Tensor, Tensor]:
        """Image uint8 `(3, H, W)` RGB and mask uint8 `(H, W)` in training ids, both as they are on disk."""
        record = self.records[index]
        mask = read_mask(self.root / record.mask)
        if self._label_map is not None:
            mask = self._label_map[mask]
        image = torch.from_numpy(read_image(self.root / record.image)).permute(2, 0, 1).contiguous()
        return image, torch.from_numpy(mask)

    def training_sample(self, key: SampleKey) -> tuple[Tensor, Tensor]:
        """The sample of a key, equal in every process and after every restart."""
        if not isinstance(self.transform, TrainTransform):
            raise TypeError("training samples need a TrainTransform")
        return self.transform(*self.load(key.sample), key.generator())

    def order(self, seed: int, epoch: int, batch: int) -> np.ndarray:
        """The order of an epoch's samples, `(length,)` int64."""
        return epoch_order(seed, epoch, len(self))

    def collate(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """A batch `(images (n, 3, h, w), masks (n, h, w))`."""
        images, masks = default_collate(samples)
        return images, masks
