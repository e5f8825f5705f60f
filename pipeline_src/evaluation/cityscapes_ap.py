"""Cityscapes' AP of instances, by cityscapesscripts, from detections in memory and masks of instance ids.

Its own `evaluateMatches` makes the numbers: AP over IoU 0.50 to 0.95, a match is above the threshold, objects
below 100 pixels are not counted, predictions that lie on void or on groups are ignored. What it is given,
which prediction covers how many pixels of which object, is counted here from packed outlines; the library
counts it from one PNG file for every detection, with a function that NumPy 2.4 no longer has.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as official
from cityscapesscripts.evaluation.instances2dict import instances2dict
from cityscapesscripts.helpers.labels import id2label, labels
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.instances.outlines import unpack
from pipeline_src.evaluation.detections import Detections, ImageDetections, ImageId

VOID = [label.id for label in labels if label.ignoreInEval]


def cityscapes_scores(
    detections: Detections, files: Mapping[ImageId, Path], label_ids: Sequence[int]
) -> dict[str, Any]:
    """`ap` and `ap50` in percent over the images of `files`, masks of instance ids by image.

    `label_ids` are Cityscapes' own of labels 1, 2, .... Also `per_class`: for each of both a list over those
    labels. Classes without an object are left out of means; where none has one, the value is None.
    """
    official.setInstanceLabels(official.args)
    matches = {}
    for image_id, file in files.items():
        # its functions look a file up by its absolute path
        truth = official.filterGtInstances(next(iter(instances2dict([str(file)]).values())), official.args)
        matches[str(file)] = _matches(np.asarray(Image.open(file)), truth, detections[image_id], label_ids)
    scores = official.evaluateMatches(matches, official.args)
    # one value for every distance (there is one), class and IoU
    by_class = dict(zip(official.args.instLabels, scores[0], strict=True))
    chosen = [by_class[id2label[label_id].name] for label_id in label_ids]
    return {
        "ap": _percent(scores[0]),
        "ap50": _percent(scores[0][:, 0]),
        "per_class": {
            "ap": [_percent(values) for values in chosen],
            "ap50": [_percent(values[0]) for values in chosen],
        },
    }


def _matches(
    ids: NDArray[Any], truth: Mapping[str, Any], found: ImageDetections, label_ids: Sequence[int]
) -> dict[str, Any]:
    """Objects and predictions of one image, each with those of the other kind that it touches.

    As `official.assignGt2Preds` gives them.
    """
    size = (ids.shape[1], ids.shape[0])
    objects = {name: [{**one, "matchedPred": []} for one in known] for name, known in truth.items()}
    predictions: dict[str, list[dict[str, Any]]] = {name: [] for name in official.args.instLabels}
    for number, (label, score, outline) in enumerate(
        zip(found.label.tolist(), found.score.tolist(), found.outline, strict=True)
    ):
        covered, counts = np.unique(ids[unpack(outline, size) > 0], return_counts=True)
        pixels = dict(zip(covered.tolist(), counts.tolist(), strict=True))
        if not pixels:
            continue
        label_id = label_ids[label - 1]
        prediction = {
            "predID": number,
            "labelID": label_id,
            "pixelCount": sum(pixels.values()),
            "confidence": score,
            "voidIntersection": sum(pixels.get(label, 0) for label in VOID),
        }
        name, touched = id2label[label_id].name, []
        for one in objects[name]:
            if shared := pixels.get(one["instID"], 0):
                touched.append({**one, "intersection": shared})
                one["matchedPred"].append({**prediction, "intersection": shared})
        predictions[name].append({**prediction, "matchedGt": touched})
    return {"groundTruth": objects, "prediction": predictions}


def _percent(values: Any) -> float | None:
    known = np.asarray(values)[~np.isnan(values)]
    return 100 * float(known.mean()) if known.size else None
