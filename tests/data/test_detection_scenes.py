"""Scenes written as COCO and VOC2007: other libraries read them, and our readers agree with both."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from pycocotools.coco import COCO
from torchvision.datasets import VOCDetection

from pipeline_src.data.coco_categories import COCO_CATEGORIES
from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.coco import read_coco
from pipeline_src.data.readers.voc_detection import read_voc_detection
from pipeline_src.data.scenes.coco import run_lengths, write_coco
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.data.scenes.voc_detection import write_voc_detection
from pipeline_src.data.scenes.voc_parts import CLASSES
from pipeline_src.errors import InputError
from pipeline_src.tasks.detection.manifest import BoxChecks

SETTINGS = SceneSettings(seed=5, smallest=(61, 45), largest=(97, 90), objects=(0, 6))
COCO_CLASSES = ["background", *(category.name for category in COCO_CATEGORIES)]


def draw(**counts):
    return [scene for split, count in counts.items() for scene in generate_scenes(SETTINGS, split, count)]


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    scenes = draw(train=12, val=5)
    assert write_coco(scenes, root) == 17
    return root, scenes


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc")
    scenes = draw(train=7, val=5, extra=6)
    assert write_voc_detection(scenes, root) == 18
    return root, scenes


def columns(built, split):
    found = built.index["columns"][split]
    counts = np.array(found["counts"].split(), dtype=int)
    return counts, Objects.unpacked(found)


def test_pycocotools_reads_masks_boxes_areas_and_crowds_of_the_scenes(coco, capsys):
    root, scenes = coco
    for split, name in (("train", "train2017"), ("val", "val2017")):
        api = COCO(str(root / "annotations" / f"instances_{name}.json"))
        drawn = [scene for scene in scenes if scene.split == split]
        assert len(api.imgs) == len(drawn) and len(api.cats) == 80
        for image, scene in zip(api.dataset["images"], drawn):
            assert (root / name / image["file_name"]).is_file()
            found = api.loadAnns(api.getAnnIds(imgIds=image["id"]))
            assert len(found) == len(scene.objects)
            for entry, item in zip(found, scene.objects):
                mask = api.annToMask(entry)
                assert np.array_equal(mask, scene.instances == item.instance)
                rows, across = np.nonzero(mask)
                x, y, width, height = entry["bbox"]
                assert [x, y, x + width, y + height] == [
                    across.min(), rows.min(), across.max() + 1, rows.max() + 1
                ]  # fmt: skip
                assert entry["area"] == mask.sum() and entry["iscrowd"] == item.crowd
                assert api.cats[entry["category_id"]]["name"] == COCO_CLASSES[item.label]
    assert any(item.crowd for scene in scenes for item in scene.objects)
    assert any(not scene.objects for scene in scenes)


@pytest.mark.parametrize("seed", range(5))
def test_run_lengths_decode_to_the_mask(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 9, 2)) < rng.choice([0.0, 0.3, 1.0])
    encoded = run_lengths(mask)
    pixels = np.repeat(np.arange(len(encoded["counts"])) % 2, encoded["counts"])
    assert np.array_equal(pixels.reshape(mask.shape, order="F"), mask)


def test_coco_scenes_through_the_real_reader_and_manifest(coco):
    root, scenes = coco
    sets = {"train": "train2017", "val": "val2017"}
    listings = {
        split: read_coco([root], split, {"set": name, "classes": COCO_CLASSES})
        for split, name in sets.items()
    }
    built = build_manifest(listings, BoxChecks(COCO_CLASSES))
    for split in sets:
        drawn = [scene for scene in scenes if scene.split == split]
        counts, objects = columns(built, split)
        items = [item for scene in drawn for item in scene.objects]
        assert counts.tolist() == [len(scene.objects) for scene in drawn]
        assert objects.labels.tolist() == [item.label for item in items]
        assert objects.boxes.tolist() == [list(item.box) for item in items]
        assert objects.areas.tolist() == [item.area for item in items]
        assert objects.crowd.tolist() == [item.crowd for item in items]
        facts = built.facts["splits"][split]
        assert facts["crowd"] == sum(item.crowd for item in items)
        assert facts["images_without_objects"] == sum(not scene.objects for scene in drawn)
        assert facts["clipped"]["boxes"] == facts["zero_area"]["boxes"] == 0


def test_voc_scenes_are_read_by_torchvision_and_the_real_reader_alike(voc):
    root, scenes = voc
    names = ["background", *CLASSES]
    spec = {"train": {"sets": ["2007/trainval", "2012/trainval"]}, "val": {"sets": ["2007/test"]}}
    listings = {split: read_voc_detection([root], split, one) for split, one in spec.items()}
    built = build_manifest(listings, BoxChecks(names))
    assert [record.id for record in listings["train"].records][6:8] == ["000007", "2008_000001"]
    theirs = {
        "train": [("2007", "trainval"), ("2012", "trainval")],
        "val": [("2007", "test")],
    }
    for split, sets in theirs.items():
        counts, objects = columns(built, split)
        trees = [
            tree["annotation"]
            for year, name in sets
            for _, tree in VOCDetection(str(root), year=year, image_set=name)
        ]
        found = [tree.get("object", []) for tree in trees]
        assert counts.tolist() == [len(one) for one in found]
        flat = [item for one in found for item in one]
        assert objects.labels.tolist() == [names.index(item["name"]) for item in flat]
        assert objects.difficult.tolist() == [item["difficult"] == "1" for item in flat]
        drawn = [s for s in scenes if s.split in (("train", "extra") if split == "train" else ("val",))]
        assert objects.boxes.tolist() == [list(item.box) for scene in drawn for item in scene.objects]
        extent = objects.boxes[:, 2:] - objects.boxes[:, :2]
        assert np.array_equal(objects.areas, extent.prod(axis=1))


def test_voc2007_has_its_lists_and_no_occluded_flag(voc):
    root, _ = voc
    main = root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main"
    lists = {
        name: (main / f"{name}.txt").read_text().split() for name in ("train", "val", "trainval", "test")
    }
    assert sorted(lists["train"] + lists["val"]) == lists["trainval"]
    assert lists["trainval"] + lists["test"] == [f"{number:06d}" for number in range(1, 13)]
    assert len((main / "cat_trainval.txt").read_text().splitlines()) == 7
    for year, flagged in (("2007", False), ("2012", True)):
        files = (root / "VOCdevkit" / f"VOC{year}" / "Annotations").iterdir()
        objects = [item for path in files for item in ET.parse(path).iter("object")]
        assert objects and all((item.find("occluded") is not None) == flagged for item in objects)


def test_split_that_a_layout_does_not_have_is_refused(tmp_path):
    with pytest.raises(InputError, match="COCO's layout has no split 'test'; use train, val"):
        write_coco(generate_scenes(SETTINGS, "test", 1), tmp_path)
    with pytest.raises(InputError, match="VOC's layout has no split 'test'; use train, val, extra"):
        write_voc_detection(generate_scenes(SETTINGS, "test", 1), tmp_path)


def test_annotation_file_is_plain_json_with_cocos_sections(coco):
    content = json.loads((coco[0] / "annotations/instances_val2017.json").read_text())
    assert list(content) == ["info", "licenses", "images", "annotations", "categories"]
