"""What scoring detections costs: `python -m benchmarks.detection_evaluation [--images N]`.

Made-up detections on as many images, objects and classes as COCO's val2017 has, with its share of crowds.
Ours goes from a model's tensors to the twelve numbers: collecting, rounding, COCOeval. The peer is
pycocotools alone, from annotations and results that lie in memory as its files hold them. Both use one
thread; processor time is compared, which other work on the machine disturbs least.
"""

import argparse
import copy
import io
import os
import time
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pipeline_src.errors import run_command
from pipeline_src.evaluation.coco_ap import COCO_METRICS, coco_scores
from pipeline_src.evaluation.detections import Detections, GroundTruth

IMAGES, CLASSES = 5_000, 80
OBJECTS, CROWDS, FOUND = 7.4, 0.012, 36
"""Objects per image and share of crowds of val2017; detections per image from a score of 0.05."""

SIZE = (480, 640)
TARGET = 1.1

Split = list[dict[str, Any]]


def made_up(images: int, seed: int = 0) -> tuple[Split, Split]:
    """Targets and detections of `images` images, as a data set and a detector give them."""
    rng = np.random.default_rng(seed)
    extent = np.array([SIZE[1], SIZE[0]])

    def boxes_of(count: int) -> np.ndarray[Any, Any]:
        sides = np.exp(rng.uniform(np.log(8), np.log(400), (count, 2)))
        corner = rng.random((count, 2)) * (extent - sides)
        return np.concatenate([corner, corner + sides], axis=1)

    targets, found = [], []
    for _ in range(images):
        boxes = np.round(boxes_of(1 + rng.poisson(OBJECTS - 1)), 2)
        labels = 1 + np.minimum(rng.geometric(0.1, len(boxes)) - 1, CLASSES - 1)
        again = np.repeat(np.arange(len(boxes)), rng.integers(0, 4, len(boxes)))
        near = boxes[again] + rng.normal(0, 0.1, (len(again), 4)) * np.tile(
            boxes[again, 2:] - boxes[again, :2], 2
        )
        strays = max(0, FOUND - len(again))
        near = np.concatenate(
            [near.reshape(-1, 2, 2).min(axis=1), near.reshape(-1, 2, 2).max(axis=1)], axis=1
        )
        every = np.concatenate([near, boxes_of(strays)]).astype(np.float32)
        names = np.concatenate([labels[again], rng.integers(1, CLASSES + 1, strays)])
        targets.append(
            {
                "boxes": torch.from_numpy(boxes.astype(np.float32)),
                "labels": torch.from_numpy(labels),
                "area": torch.from_numpy((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * 0.6),
                "iscrowd": torch.from_numpy((rng.random(len(boxes)) < CROWDS).astype(np.int64)),
            }
        )
        found.append(
            {
                "boxes": torch.from_numpy(every),
                "labels": torch.from_numpy(names),
                "scores": torch.from_numpy(rng.uniform(0.05, 1, len(every)).astype(np.float32)),
            }
        )
    return targets, found


def as_files_hold_them(detections: Detections, truth: GroundTruth) -> tuple[dict[str, Any], Split]:
    """Annotations and results of COCO's formats."""
    annotations: Split = []
    results: Split = []
    for image_id in truth.images:
        objects = truth[image_id]
        for row, label in enumerate(objects.label.tolist()):
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "category_id": label}
            annotation |= {"bbox": objects.bbox[row].tolist(), "area": float(objects.area[row])}
            annotations.append({**annotation, "iscrowd": int(objects.crowd[row])})
        part = detections[image_id]
        for row, label in enumerate(part.label.tolist()):
            result = {"image_id": image_id, "category_id": label, "bbox": part.bbox[row].tolist()}
            results.append({**result, "score": float(part.score[row])})
    images = [{"id": image_id} for image_id in truth.images]
    categories = [{"id": label} for label in range(1, truth.num_classes)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def ours(targets: Split, found: Split) -> list[float]:
    """The twelve numbers from tensors."""
    truth, detections = GroundTruth(1 + CLASSES), Detections(1 + CLASSES)
    for number, (target, one) in enumerate(zip(targets, found, strict=True)):
        truth.add(number, target)
        detections.add(number, one)
    scores = coco_scores(detections, truth)
    return [scores[name] for name in COCO_METRICS]


def theirs(instances: dict[str, Any], results: Split) -> list[float]:
    """The same from pycocotools alone."""
    with redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = instances
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return (100 * evaluation.stats).tolist()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection_evaluation", description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rounds", type=int, default=2, help="the fastest counts; each takes minutes")
    options = parser.parse_args()
    targets, found = made_up(options.images)
    truth, detections = GroundTruth(1 + CLASSES), Detections(1 + CLASSES)
    for number, (target, one) in enumerate(zip(targets, found, strict=True)):
        truth.add(number, target)
        detections.add(number, one)
    instances, results = as_files_hold_them(detections, truth)

    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    values: dict[str, list[float]] = {}
    for number in range(options.rounds):
        # in turns, the other one first every time; pycocotools writes into what it is given
        for name in sorted(seconds, reverse=bool(number % 2)):
            given = copy.deepcopy((instances, results)) if name == "theirs" else (targets, found)
            start = time.process_time()
            values[name] = ours(*given) if name == "ours" else theirs(*given)
            seconds[name].append(time.process_time() - start)
    best = {name: min(own) for name, own in seconds.items()}
    difference = max(abs(a - b) for a, b in zip(values["ours"], values["theirs"], strict=True))
    print(
        f"{len(detections):,} detections on {options.images:,} images, {len(truth):,} objects, "
        f"{CLASSES} classes, {os.cpu_count()} CPUs: AP {values['ours'][0]:.2f}"
    )
    print(
        f"ours {best['ours']:.1f} CPU s, {best['ours'] / best['theirs']:.2f} x pycocotools alone "
        f"({best['theirs']:.1f} s; target {TARGET} x); the twelve numbers differ by {difference:.0e} points"
    )


if __name__ == "__main__":
    run_command(main)
