"""Random ground truth, and detections near it: misses, duplicates, strays; crowds and difficult objects."""

import numpy as np
import torch

from pipeline_src.evaluation.detections import Detections, GroundTruth


def random_boxes(rng, count, size):
    """xyxy float32 `(count, 4)` inside (height, width), sides from 4 pixels to half the image."""
    height, width = size
    sides = np.exp(rng.uniform(np.log(4), np.log(min(size) / 2), (count, 2)))
    corner = rng.uniform(0, 1, (count, 2)) * (np.array([width, height]) - sides)
    return np.round(np.concatenate([corner, corner + sides], axis=1), 2).astype(np.float32)


def made_up_split(seed, images=12, classes=4, *, crowds=False, difficult=False, ids=None, levels=None):
    """(truth, found): lists of (id, dict of tensors); with `levels`, scores take that many values and tie."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image_id in range(images) if ids is None else ids:
        size = tuple(rng.integers(80, 641, 2).tolist())
        count = int(rng.integers(0, 9))
        boxes = random_boxes(rng, count, size)
        labels = rng.integers(1, classes + 1, count)
        target = {
            "boxes": torch.from_numpy(boxes),
            "labels": torch.from_numpy(labels),
            "area": torch.from_numpy((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * 0.9),
            "iscrowd": torch.from_numpy((rng.random(count) < 0.2) & crowds).to(torch.int64),
            "difficult": torch.from_numpy((rng.random(count) < 0.3) & difficult),
            "image_id": image_id,
            "size": size,
        }
        copies = rng.integers(0, 4, count)  # missed, found, found again
        near = np.repeat(boxes, copies, axis=0)
        near_labels = np.repeat(labels, copies)
        sides = np.tile(near[:, 2:] - near[:, :2], 2)
        near = near + rng.normal(0, 0.12, near.shape) * sides
        near = np.concatenate([np.minimum(near[:, :2], near[:, 2:]), np.maximum(near[:, :2], near[:, 2:])], 1)
        stray = random_boxes(rng, int(rng.integers(0, 5)), size)
        all_boxes = np.concatenate([near, stray]).astype(np.float32)
        all_labels = np.concatenate([near_labels, rng.integers(1, classes + 1, len(stray))])
        scores = rng.random(len(all_boxes))
        if levels:
            scores = np.ceil(scores * levels) / levels
        order = rng.permutation(len(all_boxes))
        truth.append((image_id, target))
        found.append(
            (
                image_id,
                {
                    "boxes": torch.from_numpy(all_boxes[order]),
                    "scores": torch.from_numpy(scores[order].astype(np.float32)),
                    "labels": torch.from_numpy(all_labels[order].astype(np.int64)),
                },
            )
        )
    return truth, found


def collected(truth, found, classes):
    """Both collections, filled; `classes` without the background."""
    there, detections = GroundTruth(1 + classes), Detections(1 + classes)
    for image_id, target in truth:
        there.add(image_id, target)
    for image_id, one in found:
        detections.add(image_id, one)
    return detections, there
