"""Samples and batches of a detector: geometry against torchvision, order against brute force."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.models.detection.transform import resize_boxes as torchvision_resize_boxes
from torchvision.transforms.v2 import functional as F

from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.read_index import DetectionIndex
from pipeline_src.data.detection.sample_order import grouped_order
from pipeline_src.data.detection.transform_options import DetectionAugment
from pipeline_src.data.detection.transforms import (
    DetectionEvalTransform,
    DetectionTrainTransform,
    flip_boxes,
    resize_boxes,
    resized_size,
)
from pipeline_src.data.loader import SampleKey, training_loader
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.coco import read_coco_json
from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.tasks.detection.manifest import BoxChecks
from pipeline_src.training.timetable import steps_per_epoch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = ["background", "cat", "dog"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """23 random images of both orientations: crowds in each third, without objects in each seventh."""
    root = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(1)
    images, annotations = [], []
    (root / "pictures").mkdir()
    for key in range(1, 24):
        width, height = rng.integers(17, 70, 2).tolist()
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"{key}.png")
        images.append({"id": key, "file_name": f"{key}.png", "width": width, "height": height})
        for number in range(0 if key % 7 == 0 else int(rng.integers(1, 5))):
            x, y = rng.uniform(0, width - 9), rng.uniform(0, height - 9)
            box = [x, y, rng.uniform(1, width - x), rng.uniform(1, height - y)]
            entry = {
                "id": len(annotations),
                "image_id": key,
                "category_id": int(rng.integers(1, 3)),
                "bbox": box,
            }
            annotations.append({**entry, "iscrowd": int(key % 3 == 0 and number == 0)})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "boxes.json").write_text(json.dumps(content))
    spec = {"images": "pictures", "annotations": "boxes.json", "classes": CLASSES}
    built = build_manifest({"train": read_coco_json([root], "train", spec)}, BoxChecks(CLASSES))
    path, index = root / "manifest.json", root / "index.json"
    write_json(index, built.index)
    facts = {"dataset": "own", "index": str(index), "classes": CLASSES, **built.facts}
    write_json(path, {"content": built.content, **facts})
    return path


def training(scales=((80, 50),), flip=0.5):
    return DetectionTrainTransform.of(DetectionAugment(scales, flip), MEAN, STD)


# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 17])
@pytest.mark.parametrize("scale", [(1333, 800), (1000, 600), (800, 500), (97, 61)])
def test_sizes_are_torchvisions_for_every_height_and_every_width(scale, step, monkeypatch):
    """Each side from 64 to 1333 (or every 17th) once as height and once as width."""
    # torch is called with the size that it has worked out; what it would do with pixels takes time
    monkeypatch.setattr(
        torch._C._nn, "upsample_bilinear2d", lambda x, size, *_: x.new_empty((*x.shape[:2], *size))
    )
    theirs = GeneralizedRCNNTransform(scale[1], scale[0], MEAN, STD).eval()
    sides = np.arange(64 + scale[0] % step, 1334, step)
    widths = np.random.default_rng(scale[0]).permutation(sides).tolist()
    for height, width in zip(sides.tolist(), widths, strict=True):
        resized, _ = theirs.resize(torch.empty(1, height, width, device="meta"))
        assert resized_size((height, width), scale) == tuple(resized.shape[1:]), (height, width)


def test_sizes_of_every_aspect_stay_within_the_scale():
    rng = np.random.default_rng(0)
    for height, width in rng.integers(1, 1334, (500, 2)).tolist():
        new = resized_size((height, width), (1333, 800))
        assert 1 <= min(new) <= 800 and max(new) <= 1333


@pytest.mark.parametrize("seed", range(3))
def test_image_and_boxes_are_torchvisions_up_to_8_bit_rounding(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(40, 200, 2).tolist()
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    corners = np.sort(rng.uniform(0, 1, (6, 2, 2)), axis=1) * [width, height]
    boxes = torch.from_numpy(corners.reshape(6, 4).astype(np.float32))
    theirs = GeneralizedRCNNTransform(110, 170, MEAN, STD).eval()
    masks = torch.from_numpy(rng.integers(0, 2, (6, height, width), dtype=np.uint8))
    known = {"boxes": boxes, "masks": masks}
    images, targets = theirs([image / 255], [known])
    ours, moved = training([(170, 110)], flip=0.0)(image, known, np.random.default_rng(0))
    inside = images.tensors[0, :, : ours.shape[1], : ours.shape[2]]
    assert (ours - inside).abs().max() <= 0.5 / 255 / min(STD) + 1e-4
    assert torch.allclose(moved["boxes"], targets[0]["boxes"], atol=1e-4)
    assert torch.equal(moved["masks"], targets[0]["masks"])
    evaluated = DetectionEvalTransform.of((170, 110), MEAN, STD)(image)
    assert torch.equal(evaluated, ours)


@pytest.mark.parametrize("seed", range(3))
def test_resized_and_flipped_boxes_equal_torchvisions(seed):
    rng = np.random.default_rng(seed)
    size, new = tuple(rng.integers(20, 700, 2).tolist()), tuple(rng.integers(20, 1333, 2).tolist())
    corners = np.sort(rng.uniform(0, 1, (9, 2, 2)), axis=1) * [size[1], size[0]]
    boxes = torch.from_numpy(corners.reshape(9, 4).astype(np.float32))
    resized = resize_boxes(boxes, size, new)
    assert torch.allclose(resized, torchvision_resize_boxes(boxes, size, new), atol=1e-3)
    wrapped = tv_tensors.BoundingBoxes(resized, format="XYXY", canvas_size=new)
    assert torch.allclose(flip_boxes(resized, new[1]), F.horizontal_flip(wrapped).as_subclass(torch.Tensor))


@pytest.mark.parametrize("seed", range(3))
def test_boxes_survive_resize_flip_and_back_within_half_a_pixel(seed):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        size = tuple(rng.integers(64, 1334, 2).tolist())
        new = resized_size(size, (1333, 800))
        corners = np.sort(rng.uniform(0, 1, (5, 2, 2)), axis=1) * [size[1], size[0]]
        boxes = torch.from_numpy(corners.reshape(5, 4).astype(np.float32))
        there = flip_boxes(resize_boxes(boxes, size, new), new[1])
        assert (there >= -1e-3).all() and (there[:, 2] <= new[1] + 1e-3).all()
        back = resize_boxes(flip_boxes(there, new[1]), new, size)
        assert (back - boxes).abs().max() < 1e-2


def test_boxes_stay_on_their_objects():
    image = torch.zeros(3, 60, 90, dtype=torch.uint8)
    image[:, 12:30, 21:48] = 255
    boxes = torch.tensor([[21.0, 12.0, 48.0, 30.0]])
    normal = DetectionTrainTransform.of(DetectionAugment([(270, 180)], 1.0), (0, 0, 0), (1, 1, 1))
    moved, target = normal(image, {"boxes": boxes}, np.random.default_rng(0))
    there = target["boxes"]
    rows, columns = torch.nonzero(moved[0] > 0.5, as_tuple=True)
    found = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert (found - there[0]).abs().max() <= 0.5


def test_wrong_scale_is_refused():
    with pytest.raises(InputError, match=r"scales: \[800, 1333\] is not \[long side, short side\]"):
        DetectionEvalTransform.of([800, 1333], MEAN, STD)
    with pytest.raises(ValueError, match=r"scales \[800, 1333\]: the long side comes first"):
        training([[800, 1333]])
    with pytest.raises(InputError, match="scales: is empty"):
        training([])


# --- data set -------------------------------------------------------------------------------------


def test_training_leaves_out_crowds_and_images_with_nothing_to_learn(manifest):
    dataset = DetectionDataset(manifest, "train", training(flip=0.0))
    content = json.loads(manifest.with_name("boxes.json").read_text())
    counts = Counter(entry["image_id"] for entry in content["annotations"] if not entry["iscrowd"])
    assert [int(dataset.index.ids[record]) for record in dataset.records] == sorted(counts)
    for sample in range(len(dataset)):
        image, target = dataset[SampleKey(0, 0, sample)]
        record = int(target["image_id"])
        assert len(target["boxes"]) == counts[int(dataset.index.ids[record])] and not target["iscrowd"].any()
        size = tuple(target["size"].tolist())
        assert tuple(image.shape[1:]) == resized_size(size, (80, 50))
        wide = dataset.landscape()[sample]
        assert wide == (size[1] > size[0])


def test_evaluation_shows_all_images_and_objects_in_original_pixels(manifest):
    dataset = DetectionDataset(manifest, "train", DetectionEvalTransform.of((80, 50), MEAN, STD))
    raw = DetectionDataset(manifest, "train")
    content = json.loads(manifest.with_name("boxes.json").read_text())
    assert len(dataset) == 23 and dataset.num_classes == 3
    for index in range(23):
        image, target, key = dataset[index]
        wanted = [entry for entry in content["annotations"] if entry["image_id"] == int(key)]
        boxes = [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in wanted)]
        assert np.allclose(target["boxes"], np.array(boxes).reshape(-1, 4), atol=1e-4)
        assert target["labels"].tolist() == [one["category_id"] for one in wanted]
        assert target["iscrowd"].tolist() == [one["iscrowd"] for one in wanted]
        pixels = np.asarray(Image.open(manifest.parent / "pictures" / f"{key}.png"))
        assert np.array_equal(raw[index][0].permute(1, 2, 0), pixels)
        assert image.dtype == torch.float32 and target["labels"].dtype == torch.int64


def test_sample_depends_on_seed_epoch_and_sample_alone(manifest):
    dataset = DetectionDataset(manifest, "train", training([(80, 50), (100, 60)]))
    first = [dataset[SampleKey(1, epoch, 4)] for epoch in range(8)]
    again = DetectionDataset(manifest, "train", training([(80, 50), (100, 60)]))
    for epoch, (image, target) in enumerate(first):
        other, boxes = again[SampleKey(1, epoch, 4)]
        assert torch.equal(image, other) and torch.equal(target["boxes"], boxes["boxes"])
    assert len({tuple(image.shape) for image, _ in first}) == 2


def test_index_refuses_a_manifest_without_boxes_and_one_of_another_index(manifest, tmp_path):
    value = json.loads(manifest.read_text())
    index = json.loads(manifest.with_name("index.json").read_text())
    path = tmp_path / "manifest.json"

    def write(content):
        write_json(tmp_path / "index.json", content)
        write_json(path, {**value, "index": str(tmp_path / "index.json")})

    write({"splits": index["splits"]})
    with pytest.raises(InputError, match="describes no boxes"):
        DetectionIndex.load(path, "train")
    short = index["columns"]["train"]["counts"].rsplit(" ", 1)[0]
    write({**index, "columns": {"train": {**index["columns"]["train"], "counts": short}}})
    with pytest.raises(InputError, match="do not belong together"):
        DetectionIndex.load(path, "train")


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_grouped_order_is_a_permutation_with_at_most_one_mixed_batch(seed):
    rng = np.random.default_rng(seed)
    length, batch = int(rng.integers(5, 90)), int(rng.integers(1, 9))
    groups = rng.random(length) < rng.choice([0.0, 0.2, 0.7, 1.0])
    orders = [grouped_order(seed, epoch, groups, batch) for epoch in range(3)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(length))
        full = [groups[order[first : first + batch]] for first in range(0, length // batch * batch, batch)]
        assert len(full) == steps_per_epoch(length, batch)
        assert sum(len(set(found.tolist())) > 1 for found in full) <= 1
    assert np.array_equal(orders[1], grouped_order(seed, 1, groups, batch))


def test_batches_do_not_come_sorted_by_group():
    groups = np.arange(400) < 200
    order = grouped_order(0, 0, groups, 4)
    kinds = groups[order].reshape(-1, 4).all(axis=1)
    assert 20 < (kinds[1:] != kinds[:-1]).sum() < 80


def test_the_groups_of_batches_follow_one_another_otherwise_in_every_epoch():
    """Eight batches, four of each group: 70 sequences, of which 50 epochs show about 36."""
    groups = np.arange(32) < 16
    kinds = {tuple(groups[grouped_order(0, epoch, groups, 4)][::4].tolist()) for epoch in range(50)}
    assert 25 <= len(kinds) <= 50


def load(manifest, grouped=True, **options):
    dataset = DetectionDataset(manifest, "train", training(), group_by_aspect=grouped)
    settings = {"seed": 3, "batch": 4, "total_steps": 9, **options}
    return [
        ([image.sum().item() for image in images], [int(target["image_id"]) for target in targets])
        for images, targets in training_loader(dataset, **settings)
    ]


def test_loader_continues_at_any_step_and_workers_change_nothing(manifest):
    whole = load(manifest)
    assert len(whole) == 9 and all(len(images) == 4 for images, _ in whole)
    for start in (1, 4, 8):
        assert load(manifest, start_step=start) == whole[start:]
    assert load(manifest, workers=2) == whole
    assert load(manifest, grouped=False) != whole


def test_ranks_share_every_batch_and_each_has_one_orientation(manifest):
    whole = load(manifest)
    shares = [load(manifest, rank=rank, world=2) for rank in range(2)]
    for step, (images, ids) in enumerate(whole):
        assert shares[0][step][0] + shares[1][step][0] == images
        assert shares[0][step][1] + shares[1][step][1] == ids
    sizes = DetectionDataset(manifest, "train", training()).index.landscape()
    mixed = sum(len({bool(sizes[record]) for record in ids}) > 1 for _, ids in whole)
    assert mixed <= 2
