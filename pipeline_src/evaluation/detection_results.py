"""Detections as a file in COCO's results format: a JSON list of records, read by every COCO evaluator.

Records are `{"image_id", "category_id", "bbox": [x, y, w, h], "score"}` in pixels of the original image,
with the data set's own ids; those of outlined objects have `segmentation` in place of `bbox`. NumPy only.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from pipeline_src.evaluation.detections import Detections, ImageId


def results_text(
    detections: Detections, categories: Sequence[int], sizes: Mapping[ImageId, tuple[int, int]] | None = None
) -> Iterator[str]:
    """Detections in COCO's results format, one per line, piece by piece; same detections, same text.

    `categories[label - 1]` is the data set's own id of a class. Sorted by image and falling score. An
    image without detections does not occur in this format. Where `sizes` say the (height, width) of every
    image, each has its `segmentation`, COCO's compressed run lengths, and no box: beside a box evaluators
    would take the box's area as the object's.
    """
    _check_categories(categories, detections.num_classes)
    before = "["
    for image_id in detections.images:
        part = detections[image_id]
        name = json.dumps(image_id)
        for place, (box, score, label) in enumerate(
            zip(part.bbox.tolist(), part.score.tolist(), part.label.tolist(), strict=True)
        ):
            where = f'"bbox":[{box[0]!r},{box[1]!r},{box[2]!r},{box[3]!r}]'
            if sizes is not None:
                runs = {"size": list(sizes[image_id]), "counts": part.outline[place].decode("ascii")}
                where = f'"segmentation":{json.dumps(runs, separators=(",", ":"))}'
            yield (
                f'{before}{{"image_id":{name},"category_id":{categories[label - 1]},'
                f'{where},"score":{score!r}}}'
            )
            before = ",\n"
    yield "[]\n" if before == "[" else "]\n"


def _check_categories(categories: Sequence[int], num_classes: int) -> None:
    if not len(categories) == len(set(categories)) == num_classes - 1:
        raise ValueError(f"{len(set(categories))} different category ids for labels 1..{num_classes - 1}")
