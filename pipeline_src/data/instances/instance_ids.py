"""Objects of a mask of Cityscapes' instance ids: `label id * 1000 + number` where objects are told apart.

Elsewhere a pixel has its label id; of a class with objects it belongs to a group of them, which becomes a
crowd. What is no class (void, caravans, trailers) is no object. NumPy and pycocotools only.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline_src.data.detection.records import AnnotatedObject
from pipeline_src.data.instances.outlines import pack_mask
from pipeline_src.data.label_tables import CITYSCAPES_INSTANCE_IDS, CITYSCAPES_LAST_ID

PER_CLASS = 1000


def objects_of(
    ids: NDArray[np.int64], labels: Mapping[int, int]
) -> tuple[list[AnnotatedObject], list[bytes]]:
    """The objects of a mask `(H, W)` and their packed outlines, by rising id; `labels` by label id.

    Raises `ValueError` for an id that no label of Cityscapes has.
    """
    objects, outlines = [], []
    for value in np.unique(ids).tolist():
        label_id = value // PER_CLASS if value >= PER_CLASS else value
        known = CITYSCAPES_INSTANCE_IDS if value >= PER_CLASS else range(CITYSCAPES_LAST_ID + 1)
        if label_id not in known:
            raise ValueError(
                f"holds instance id {value}, but Cityscapes has label ids 0 to {CITYSCAPES_LAST_ID}, and "
                f"1,000 times {min(CITYSCAPES_INSTANCE_IDS)} to {max(CITYSCAPES_INSTANCE_IDS)} for objects"
            )
        if label_id not in labels:
            continue
        mask = ids == value
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        objects.append(AnnotatedObject(labels[label_id], box, float(mask.sum()), crowd=value < PER_CLASS))
        outlines.append(pack_mask(mask))
    return objects, outlines
