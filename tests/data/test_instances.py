"""Data sets with outlined objects: both layouts are read, checked, described and opened as tensors."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from pipeline_src.data.detection.transform_options import DetectionAugment
from pipeline_src.data.detection.transforms import DetectionTrainTransform
from pipeline_src.data.instances.dataset import InstanceDataset
from pipeline_src.data.instances.outlines import unpack
from pipeline_src.data.loader import SampleKey
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.cityscapes_instances import (
    CityscapesInstancesReader,
    read_cityscapes_instances,
)
from pipeline_src.data.readers.coco_instances import CocoInstancesReader
from pipeline_src.data.scenes.cityscapes import write_cityscapes_instances
from pipeline_src.data.scenes.coco import write_coco
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.tasks.instances.manifest import InstanceChecks

SETTINGS = SceneSettings(
    seed=4, smallest=(96, 72), largest=(120, 90), classes=4, objects=(2, 5), shares=None, crowds=0.5
)
CLASSES = CityscapesInstancesReader.classes(None)
LABEL_IDS = CityscapesInstancesReader.labels(None, CLASSES)["label_ids"]


@pytest.fixture(scope="module")
def scenes():
    return [
        one for split, count in (("train", 6), ("val", 4)) for one in generate_scenes(SETTINGS, split, count)
    ]


@pytest.fixture
def city(scenes, tmp_path):
    write_cityscapes_instances(scenes, tmp_path)
    return tmp_path


@pytest.fixture
def coco(scenes, tmp_path):
    write_coco(scenes, tmp_path)
    return tmp_path


def described(folder, listings, checks, classes):
    """The path of a manifest of those listings."""
    built = build_manifest(listings, checks)
    write_json(folder / "index.json", built.index)
    said = {
        "content": built.content,
        "dataset": "made",
        "index": str(folder / "index.json"),
        "classes": classes,
    }
    write_json(folder / "manifest.json", {**said, **built.facts})
    return folder / "manifest.json"


def of_city(city):
    listings = {split: read_cityscapes_instances([city], split, {"set": split}) for split in ("train", "val")}
    return described(city, listings, InstanceChecks(CLASSES, LABEL_IDS), CLASSES)


def of_coco(coco):
    classes = CocoInstancesReader.classes(CocoInstancesReader.Options())
    listings = {
        split: CocoInstancesReader.read([coco], split, {"set": f"{split}2017", "classes": classes})
        for split in ("train", "val")
    }
    return described(coco, listings, InstanceChecks(classes), classes)


def test_cityscapes_objects_are_what_the_scenes_drew(city, scenes):
    dataset = InstanceDataset(of_city(city), "val", None)
    assert dataset.index.label_ids == (24, 25, 26, 27, 28, 31, 32, 33)
    crowds = 0
    for place, scene in enumerate(one for one in scenes if one.split == "val"):
        _, target, _ = dataset[place]
        height, width = scene.labels.shape
        masks = [unpack(one, (width, height)) for one in target["outlines"]]
        drawn = {}
        for item in scene.objects:
            seen = (scene.instances == item.instance) & ~scene.void
            if seen.any():
                key = (item.label, "group") if item.crowd else (item.label, item.instance)
                drawn[key] = drawn.get(key, False) | seen
        assert len(masks) == len(drawn)
        expected = {(key[0], mask.tobytes(), key[1] == "group") for key, mask in drawn.items()}
        found = {
            (int(label), (mask > 0).tobytes(), bool(crowd))
            for label, mask, crowd in zip(target["labels"], masks, target["iscrowd"], strict=True)
        }
        assert found == expected
        crowds += int(target["iscrowd"].sum())
        for mask, box, area in zip(masks, target["boxes"].tolist(), target["area"].tolist(), strict=True):
            rows, columns = np.nonzero(mask)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert area == mask.sum()
    assert crowds


def test_coco_outlines_are_those_of_pycocotools(coco):
    dataset = InstanceDataset(of_coco(coco), "val", None)
    truth = COCO(coco / "annotations/instances_val2017.json")
    for place in range(len(dataset)):
        _, target, key = dataset[place]
        annotations = truth.imgToAnns[int(key)]
        height, width = target["size"].tolist()
        found = [unpack(one, (width, height)) for one in target["outlines"]]
        assert len(found) == len(annotations)
        for one, annotation in zip(found, annotations, strict=True):
            assert (one == truth.annToMask(annotation)).all()


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_training_masks_follow_the_image(city, flip):
    augment = DetectionAugment([[240, 180]], flip)
    transform = DetectionTrainTransform.of(augment, [0.0] * 3, [1.0] * 3)
    dataset = InstanceDataset(of_city(city), "train", transform)
    for sample in range(len(dataset)):
        image, target = dataset[SampleKey(0, 0, sample)]
        masks, boxes = target["masks"], target["boxes"]
        assert masks.dtype == torch.uint8 and masks.shape == (len(boxes), *image.shape[1:])
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.tolist(), strict=True):
            rows, columns = np.nonzero(mask.numpy())
            around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert around == pytest.approx([x1, y1, x2, y2], abs=2)
    assert not any(target["iscrowd"].any() for _, target in [dataset[SampleKey(0, 0, 0)]])


def repaint(city, change):
    """Change the first training mask."""
    file = sorted((city / "gtFine/train").glob("*/*_instanceIds.png"))[0]
    ids = np.array(Image.open(file)).astype(np.uint16)
    Image.fromarray(change(ids)).save(file)
    return file.name.removesuffix("_gtFine_instanceIds.png")


def with_id(ids, value):
    ids = ids.copy()
    ids[:3, :3] = value
    return ids


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda ids: ids[:-1], "but its mask is"),
        (lambda ids: with_id(ids, 34), "holds instance id 34, but Cityscapes has label ids 0 to 33"),
        (lambda ids: with_id(ids, 7001), "holds instance id 7001"),
        (
            lambda ids: np.stack([ids.astype(np.uint8)] * 3, axis=-1),
            "has RGB pixels; it needs one id a pixel",
        ),
    ],
)
def test_a_wrong_mask_of_instance_ids_is_named(city, change, says):
    record = repaint(city, change)
    with pytest.raises(InputError, match=rf"train record '{record}': .*{says}"):
        of_city(city)


def test_objects_of_no_class_are_no_objects(city):
    before = len(InstanceDataset(of_city(city), "train", None).index.objects(0))
    repaint(city, lambda ids: with_id(with_id(ids, 29001), 30000))
    after = InstanceDataset(of_city(city), "train", None)
    assert len(after.index.objects(0)) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one.pop("segmentation"), "has no segmentation"),
        (lambda one: one.update(segmentation=[[1, 1, 5, 5]]), "a polygon of 2 points"),
        (lambda one: one.update(segmentation=[[1, 1, 5, 500, 5, 5]]), "outside its"),
        (lambda one: one["segmentation"].update(size=[5, 5]), r"run lengths of size \[5, 5\]"),
        (lambda one: one["segmentation"].update(counts="~"), "do not decode"),
    ],
)
def test_a_wrong_outline_is_named_with_its_record(coco, change, says):
    file = coco / "annotations/instances_val2017.json"
    content = json.loads(file.read_text())
    broken = content["annotations"][3]
    change(broken)
    file.write_text(json.dumps(content))
    place = (
        f"val record '{broken['image_id']}': annotation {broken['id']} of annotations/instances_val2017.json"
    )
    with pytest.raises(InputError, match=f"{place} .*{says}"):
        of_coco(coco)


def test_boxes_alone_are_refused(coco):
    from pipeline_src.data.readers.coco import CocoReader
    from pipeline_src.tasks.detection.manifest import BoxChecks

    classes = CocoReader.classes(CocoReader.Options())
    listing = CocoReader.read([coco], "val", {"set": "val2017", "classes": classes})
    path = described(coco, {"val": listing}, BoxChecks(classes), classes)
    with pytest.raises(InputError, match="describes boxes without outlines"):
        InstanceDataset(path, "val", None)


def test_an_object_without_a_stated_area_has_that_of_its_outline(coco):
    file = coco / "annotations/instances_val2017.json"
    content = json.loads(file.read_text())
    for one in content["annotations"]:
        del one["area"]
    file.write_text(json.dumps(content))
    dataset = InstanceDataset(of_coco(coco), "val", None)
    smaller = 0
    for place in range(len(dataset)):
        _, target, _ = dataset[place]
        height, width = target["size"].tolist()
        masks = [unpack(one, (width, height)) for one in target["outlines"]]
        for mask, box, area in zip(masks, target["boxes"].tolist(), target["area"].tolist(), strict=True):
            assert area == mask.sum()
            smaller += area < (box[2] - box[0]) * (box[3] - box[1])
    assert smaller
