"""Average precision as PASCAL VOC defines it: at one IoU, by 11 points (VOC2007) or by area. NumPy only.

A detection belongs to the object of its class that it overlaps most, taken or not. From the highest
score down, the first detection with enough overlap on an object is right, every further one is wrong.
Detections on difficult objects count neither way, and difficult objects need not be found.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_src.evaluation.detections import Detections, GroundTruth, check_images


def voc_scores(
    detections: Detections, truth: GroundTruth, *, iou: float = 0.5, plus_one: bool = False
) -> dict[str, Any]:
    """`map_11_points` and `map_area` in percent, over all images of `truth`.

    Also `per_class`: both names with a list over labels 1, 2, ...; `classes_without_truth`: labels without
    an object that has to be found, which the means leave out (None in `per_class`); `images`;
    `detections`. A crowd (COCO) is treated as difficult.

    With `plus_one` the corners of a box are pixels that belong to it, so that it is x2 - x1 + 1 wide: the
    convention of VOC's development kit and of detectors up to 2019. Boxes whose x1, y1 were reduced by
    one when they were read give the development kit's overlaps without it.

    Raises `InputError` for detections of an image that `truth` does not have, and where it has none.
    """
    check_images(detections, truth)
    if not 0 < iou <= 1:
        raise ValueError(f"iou is {iou}, it has to be in (0, 1]")
    matched = _match(detections, truth, iou, 1.0 if plus_one else 0.0)
    eleven: list[float | None] = []
    area: list[float | None] = []
    for label in range(1, truth.num_classes):
        objects = int(np.count_nonzero((matched.truth_label == label) & ~matched.ignored))
        right = _verdicts(matched, label)
        eleven.append(100 * eleven_point_ap(right, objects) if objects else None)
        area.append(100 * area_ap(right, objects) if objects else None)
    return {
        "unit": "percent",
        "map_11_points": _mean(eleven),
        "map_area": _mean(area),
        "per_class": {"map_11_points": eleven, "map_area": area},
        "classes_without_truth": [label for label, value in enumerate(area, start=1) if value is None],
        "images": len(truth.images),
        "detections": len(detections),
    }


def eleven_point_ap(right: NDArray[np.bool_], objects: int) -> float:
    """Mean of the best precision at recall 0, 0.1, ..., 1 or more; `right` by falling score, in 0..1."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    # in whole numbers: 3 of 10 objects are a recall of 0.3, which 3 * 0.1 is not
    best = [precision[10 * hits >= point * objects].max(initial=0.0) for point in range(11)]
    return float(np.mean(best))


def area_ap(right: NDArray[np.bool_], objects: int) -> float:
    """Area below the best precision at each recall or more; `right` by falling score, in 0..1."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / objects)


class _Matched:
    """All images' boxes in columns; `truth` is the row of the best object of each detection, or -1."""

    def __init__(self, parts: list[tuple[NDArray[Any], ...]]):
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        self.truth_label, self.ignored, self.label, self.score, self.truth = columns


def _match(detections: Detections, truth: GroundTruth, iou: float, extra: float) -> _Matched:
    parts: list[tuple[NDArray[Any], ...]] = []
    first = 0
    for image_id in truth.images:
        objects = truth[image_id]
        ignored = objects.crowd | objects.difficult
        if image_id in detections:
            part = detections[image_id]
            best = np.full(len(part.label), -1, dtype=np.int64)
            if len(part.label) and len(objects.label):
                overlaps = _overlaps(part.bbox, objects.bbox, extra)
                overlaps[part.label[:, None] != objects.label[None]] = -1
                choice = overlaps.argmax(axis=1)
                enough = overlaps[np.arange(len(choice)), choice] >= iou
                best[enough] = first + choice[enough]
            found = (part.label, part.score, best)
        else:
            found = (np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
        parts.append((objects.label, ignored, *found))
        first += len(objects.label)
    return _Matched(parts)


def _verdicts(matched: _Matched, label: int) -> NDArray[np.bool_]:
    """Right or wrong, for the detections of a class that count, by falling score."""
    mine = np.flatnonzero(matched.label == label)
    mine = mine[np.argsort(-matched.score[mine], kind="stable")]
    truth = matched.truth[mine]
    hit = truth >= 0
    counts = ~hit
    counts[hit] = ~matched.ignored[truth[hit]]
    truth = truth[counts]
    right = np.zeros(len(truth), dtype=bool)
    objects, firsts = np.unique(truth, return_index=True)
    right[firsts[objects >= 0]] = True
    return right


def _overlaps(found: NDArray[np.float64], there: NDArray[np.float64], extra: float) -> NDArray[np.float64]:
    """IoU `(n, m)` of boxes `(n, 4)` and `(m, 4)` xywh that are `extra` wider and higher than they say."""
    a, b = found[:, None], there[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    intersection = np.clip(high - low + extra, 0, None).prod(axis=-1)
    union = (a[..., 2:] + extra).prod(axis=-1) + (b[..., 2:] + extra).prod(axis=-1) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
