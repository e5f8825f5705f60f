"""Images with outlined objects of a manifest as tensors: masks in training, packed outlines in evaluation."""

from typing import Any

import numpy as np
import torch

from pipeline_src.data.detection.dataset import DetectionDataset, Target
from pipeline_src.data.instances.read_index import InstanceIndex


class InstanceDataset(DetectionDataset):
    """As `DetectionDataset`, over objects that have outlines.

    The targets of training samples have `masks (n, h, w)` uint8 of the transformed image as well, those of
    evaluation items `outlines`, n packed ones in the original image (`data/instances/outlines.py`).
    """

    Index = InstanceIndex
    index: InstanceIndex

    def training_target(self, record: int, which: np.ndarray) -> Target:
        """Those objects for which `which` is true, with masks in the original image."""
        target = super().training_target(record, which)
        target["masks"] = torch.from_numpy(self.index.masks(record, which))
        return target

    def evaluation_target(self, record: int) -> dict[str, Any]:
        """All objects of a record, with their packed outlines."""
        return {**super().evaluation_target(record), "outlines": self.index.outlines(record)}
