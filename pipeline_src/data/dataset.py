"""The records of a manifest as tensors: training samples by key, evaluation items by index."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pipeline_src.data.images import read_image, read_mask
from pipeline_src.data.index import IGNORE_INDEX, Manifest
from pipeline_src.data.transforms import EvalTransform, TrainTransform
from pipeline_src.errors import InputError
from pipeline_src.training.seeding import derive


class SampleKey(NamedTuple):
    """Which training sample: everything random about it follows from these three numbers."""

    seed: int
    epoch: int
    sample: int


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
        rng = np.random.Generator(np.random.PCG64(derive(key.seed, "augment", key.epoch, key.sample)))
        return self.transform(*self.load(key.sample), rng)
