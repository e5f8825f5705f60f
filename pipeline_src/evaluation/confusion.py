"""The confusion matrix of a segmentation, and the scores that follow from it.

Counts are exact 64-bit integers, so the scores do not depend on the order of the images or on how
they were shared out: matrices are added, ratios are taken once, at the end. NumPy only.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_src.data.read_manifest import IGNORE_INDEX


class Confusion:
    """Counts of (true class, predicted class) over pixels; `counts[t, p]`, int64.

    Pixels whose true id is `ignore_index` are dropped, whatever was predicted there.
    """

    def __init__(self, num_classes: int, ignore_index: int = IGNORE_INDEX):
        if num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}, it has to be at least 1")
        if 0 <= ignore_index < num_classes:
            raise ValueError(f"ignore_index {ignore_index} is one of the {num_classes} classes")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts: NDArray[np.int64] = np.zeros((num_classes, num_classes), dtype=np.int64)
        self.ignored = 0

    def add(self, truth: NDArray[Any], prediction: NDArray[Any]) -> None:
        """Count the pixels of one image; both arrays hold class ids and have one shape.

        Raises `ValueError` for a true or predicted id outside the classes, or for different shapes:
        a reader or a model is wrong then, and no score may come of it.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"ground truth is {truth.shape}, prediction is {prediction.shape}")
        kept = truth != self.ignore_index
        true_ids = truth[kept].astype(np.int64)
        predicted_ids = prediction[kept].astype(np.int64)
        for what, ids in (("ground truth", true_ids), ("prediction", predicted_ids)):
            if ids.size and not (ids.min() >= 0 and ids.max() < self.num_classes):
                wrong = ids.min() if ids.min() < 0 else ids.max()
                raise ValueError(f"{what} holds id {wrong}, the classes are 0..{self.num_classes - 1}")
        cells = np.bincount(true_ids * self.num_classes + predicted_ids, minlength=self.num_classes**2)
        self.counts += cells.reshape(self.num_classes, self.num_classes)
        self.ignored += int(truth.size - true_ids.size)

    def merge(self, other: "Confusion") -> None:
        """Add the counts of another part of the same evaluation."""
        if (other.num_classes, other.ignore_index) != (self.num_classes, self.ignore_index):
            raise ValueError("confusion matrices over different classes cannot be merged")
        self.counts += other.counts
        self.ignored += other.ignored

    def scores(self) -> dict[str, Any]:
        """Scores as fractions in 0..1; None where a score is undefined.

        `miou`: mean of `per_class_iou` over the classes that occur in the ground truth or in a
        prediction, IoU = TP / (ground truth + predicted - TP) (DFP, section 3.3);
        `pixel_accuracy`: share of labelled pixels that are right;
        `mean_accuracy`: mean share of right pixels over the classes that occur in the ground truth.
        """
        right = np.diag(self.counts)
        true_pixels = self.counts.sum(axis=1)
        predicted_pixels = self.counts.sum(axis=0)
        total = int(true_pixels.sum())
        iou = _ratios(right, true_pixels + predicted_pixels - right)
        accuracy = _ratios(right, true_pixels)
        return {
            "miou": _mean(iou),
            "pixel_accuracy": int(right.sum()) / total if total else None,
            "mean_accuracy": _mean(accuracy),
            "per_class_iou": iou,
            "pixels": total,
            "ignored_pixels": self.ignored,
        }


def _ratios(numerators: NDArray[np.int64], denominators: NDArray[np.int64]) -> list[float | None]:
    return [int(n) / int(d) if d else None for n, d in zip(numerators, denominators, strict=True)]


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
