"""Detections as a file in COCO's results format: a JSON list of records, read by every COCO evaluator.

Records are `{"image_id", "category_id", "bbox": [x, y, w, h], "score"}` in pixels of the original image,
with the data set's own ids. NumPy only.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.errors import InputError
from pipeline_src.evaluation.detections import Detections, ImageId
from pipeline_src.files import read_json, write_text

_KEYS = ("image_id", "category_id", "bbox", "score")


def write_results(path: str | Path, detections: Detections, categories: Sequence[int]) -> None:
    """Write detections in COCO's results format, as `results_text` does."""
    write_text(path, "".join(results_text(detections, categories)))


def results_text(detections: Detections, categories: Sequence[int]) -> Iterator[str]:
    """Detections in COCO's results format, one per line, piece by piece; same detections, same text.

    `categories[label - 1]` is the data set's own id of a class. Sorted by image and falling score. An
    image without detections does not occur in this format.
    """
    _check_categories(categories, detections.num_classes)
    before = "["
    for image_id in detections.images:
        part = detections[image_id]
        name = json.dumps(image_id)
        for box, score, label in zip(
            part.bbox.tolist(), part.score.tolist(), part.label.tolist(), strict=True
        ):
            yield (
                f'{before}{{"image_id":{name},"category_id":{categories[label - 1]},'
                f'"bbox":[{box[0]!r},{box[1]!r},{box[2]!r},{box[3]!r}],"score":{score!r}}}'
            )
            before = ",\n"
    yield "[]\n" if before == "[" else "]\n"


def read_results(path: str | Path, categories: Sequence[int]) -> Detections:
    """Read a file in COCO's results format; its numbers are kept as they are.

    Raises `InputError` that names file and record for what is no such file, a category that is not
    among `categories`, and numbers that make no box.
    """
    _check_categories(categories, len(categories) + 1)
    records = read_json(path)
    if not isinstance(records, list):
        raise InputError(f"{path}: holds a {type(records).__name__}, expected a list of COCO results")
    label_of = {category: label for label, category in enumerate(categories, start=1)}
    rows: dict[ImageId, list[tuple[list[float], float, int]]] = {}
    for number, record in enumerate(records):
        where = f"{path}: record {number}"
        missing = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
        if missing:
            raise InputError(f"{where}: has no {missing[0]}; a result has {', '.join(_KEYS)}")
        image_id, category, bbox, score = (record[key] for key in _KEYS)
        if not isinstance(image_id, int | str):
            raise InputError(f"{where}: image_id is {image_id!r}, it has to be a number or a name")
        if not isinstance(category, int) or category not in label_of:
            raise InputError(
                f"{where} (image {image_id}): category_id {category!r} is unknown to the data set"
            )
        if not (isinstance(bbox, list) and len(bbox) == 4 and all(map(_is_finite, bbox))):
            raise InputError(f"{where} (image {image_id}): bbox is {bbox}, expected four numbers x, y, w, h")
        if bbox[2] < 0 or bbox[3] < 0:
            raise InputError(f"{where} (image {image_id}): bbox {bbox} has a negative width or height")
        if not _is_finite(score):
            raise InputError(f"{where} (image {image_id}): score is {score!r}, expected a number")
        rows.setdefault(image_id, []).append((bbox, score, label_of[category]))
    detections = Detections(len(categories) + 1)
    for image_id, found in rows.items():
        boxes, scores, labels = zip(*found, strict=True)
        detections.add_rows(
            image_id, np.asarray(boxes, dtype=np.float64), np.asarray(scores, dtype=np.float64), labels
        )
    return detections


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _check_categories(categories: Sequence[int], num_classes: int) -> None:
    if not len(categories) == len(set(categories)) == num_classes - 1:
        raise ValueError(f"{len(set(categories))} different category ids for labels 1..{num_classes - 1}")
