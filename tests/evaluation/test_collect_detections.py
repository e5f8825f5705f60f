"""A detector's pass over a split: original pixels, several sizes, ranks, modes."""

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.nn import functional

from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_ap import coco_scores
from pipeline_src.evaluation.detect_multi_scale import AtSizes
from pipeline_src.evaluation.detection_pass import collect_detections

SIZES = [(40, 60), (33, 51), (70, 30), (48, 48), (64, 31)]
BOX = (0.25, 0.25, 0.75, 0.5)
"""In parts of width and height."""


class Resize:
    """To a given height and width."""

    def __init__(self, size):
        self.size = size

    def __call__(self, image):
        return functional.interpolate(image[None], self.size, mode="nearest")[0]


class Scenes:
    """Images of one constant value, with one object at the same relative place; labels alternate."""

    def __init__(self, transform=None):
        self.transform = transform

    def __len__(self):
        return len(SIZES)

    def __getitem__(self, index):
        height, width = SIZES[index]
        image = torch.full((3, height, width), float(index))
        box = torch.tensor(BOX) * torch.tensor([width, height, width, height])
        target = {
            "boxes": box[None],
            "labels": torch.tensor([1 + index % 2]),
            "area": (box[2:] - box[:2]).prod()[None],
            "iscrowd": torch.zeros(1, dtype=torch.uint8),
            "difficult": torch.zeros(1, dtype=torch.uint8),
            "image_id": torch.tensor(index),
            "size": torch.tensor([height, width]),
        }
        return (image if self.transform is None else self.transform(image)), target, str(100 - index)


class Detector(nn.Module):
    """Reads the label off the image's value and finds the object, and a stray one above."""

    def __init__(self):
        super().__init__()
        self.fixed = nn.BatchNorm2d(3).eval()

    def forward(self, images):
        assert not self.training and not torch.is_grad_enabled()
        found = []
        for image in images:
            height, width = image.shape[-2:]
            extent = torch.tensor([width, height, width, height])
            label = 1 + int(image[0, 0, 0]) % 2
            boxes = torch.stack([torch.tensor(BOX) * extent, torch.tensor([0.0, 0.0, 0.2, 0.2]) * extent])
            scores = torch.tensor([0.9, 0.3])
            found.append({"boxes": boxes, "scores": scores, "labels": torch.tensor([label, label])})
        return found


def test_detections_come_in_pixels_of_the_original_image():
    model, seen = Detector().train(), []
    model.fixed.eval()
    detections, truth = collect_detections(
        model, Scenes(Resize((90, 120))), 3, "cpu", on_detections=lambda *found: seen.append(found)
    )
    assert model.training and not model.fixed.training
    assert [(index, key) for index, key, _, _ in seen] == [(i, str(100 - i)) for i in range(len(SIZES))]
    for key, (height, width) in zip(["100", "99", "98", "97", "96"], SIZES, strict=True):
        x1, y1, x2, y2 = np.array(BOX) * [width, height, width, height]
        assert detections[key].bbox[0] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=1e-3)
        assert len(detections[key].score) == 2
    assert coco_scores(detections, truth)["ap"] == pytest.approx(100)


def test_several_sizes_of_one_image_are_merged():
    sizes = AtSizes((Resize((90, 120)), Resize((45, 60)), Resize((201, 133))))
    merged, truth = collect_detections(Detector(), Scenes(sizes), 3, "cpu")
    alone, _ = collect_detections(Detector(), Scenes(), 3, "cpu")
    for key in alone.images:
        assert merged[key].bbox == pytest.approx(alone[key].bbox, abs=2e-3)
    limited, _ = collect_detections(Detector(), Scenes(sizes), 3, "cpu", limit=1)
    assert len(limited) == len(truth) == len(SIZES)


def test_loader_processes_change_nothing_and_ids_may_be_numbers():
    first = collect_detections(Detector(), Scenes(), 3, "cpu", image_id=int)
    second = collect_detections(Detector(), Scenes(), 3, "cpu", image_id=int, workers=2)
    assert first[0].images == second[0].images == [96, 97, 98, 99, 100]
    assert coco_scores(*first) == coco_scores(*second)


class BrokenScenes(Scenes):
    """Its third image cannot be read."""

    def __getitem__(self, index):
        if index == 2:
            raise InputError("scene_2.png: cannot be read")
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_one_line_from_any_process(workers):
    with pytest.raises(InputError) as caught:
        collect_detections(Detector(), BrokenScenes(), 3, "cpu", workers=workers)
    assert str(caught.value) == "scene_2.png: cannot be read"


class Diverged(Detector):
    """Multiplies the first of its boxes or scores."""

    def __init__(self, key, factor):
        super().__init__()
        self.key, self.factor = key, factor

    def forward(self, images):
        found = super().forward(images)
        for one in found:
            one[self.key][0] *= self.factor
        return found


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
@pytest.mark.parametrize(("key", "name"), [("boxes", "a box"), ("scores", "a score")])
@pytest.mark.parametrize("versions", [1, 2])
def test_a_diverged_model_is_refused_by_run_and_image(key, name, factor, versions):
    scenes = Scenes(AtSizes((Resize((90, 120)), Resize((45, 60)))[:versions]))
    with pytest.raises(InputError) as caught:
        collect_detections(Diverged(key, factor), scenes, 3, "cpu", title="ipg/seed-0")
    assert str(caught.value).startswith(f"ipg/seed-0: image '100': {name} is not finite; the model has div")


def _collect_as_rank(rank, world, address, results):
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=world)
    seen = []
    found = collect_detections(
        Detector(), Scenes(), 3, "cpu", on_detections=lambda index, *rest: seen.append(index)
    )
    results[rank] = (coco_scores(*found), found[0].images, seen)
    distributed.destroy_process_group()


def test_two_ranks_share_the_images_and_agree_with_one(tmp_path):
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        address = f"file://{tmp_path / 'rendezvous'}"
        multiprocessing.spawn(_collect_as_rank, args=(2, address, results), nprocs=2)
        (first, first_images, first_seen), (second, second_images, second_seen) = results[0], results[1]
    detections, truth = collect_detections(Detector(), Scenes(), 3, "cpu")
    assert first == second == coco_scores(detections, truth)
    assert first_images == second_images == detections.images
    assert (first_seen, second_seen) == ([0, 2, 4], [1, 3])
