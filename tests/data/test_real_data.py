"""Real data sets through the same readers, where FUSEBENCH_REAL_DATA names a folder that holds them."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pipeline_src.data.coco_categories import COCO_CATEGORIES
from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.detection.transform_options import DetectionAugment
from pipeline_src.data.detection.transforms import DetectionTrainTransform
from pipeline_src.data.detection.voc_xml import CORNERS
from pipeline_src.data.loader import training_loader
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.coco import read_coco, read_coco_json
from pipeline_src.data.readers.mask_folders import read_masks
from pipeline_src.data.readers.voc2012 import read_voc2012
from pipeline_src.data.readers.voc_detection import read_voc_detection, read_voc_xml
from pipeline_src.data.scenes.voc_parts import CLASSES
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.files import write_json
from pipeline_src.tasks.detection.manifest import BoxChecks
from pipeline_src.tasks.segmentation.manifest import MaskChecks


def need(folder):
    if not folder.is_dir():
        pytest.skip(f"no {folder.name}")
    return folder


def test_voc2012_sample(real_data):
    root = need(real_data / "voc2012_sample")
    listings = {name: read_voc2012([root], name, {"set": name}) for name in ("train", "val", "trainval")}
    built = build_manifest(listings, MaskChecks(LabelSpace.of(21, 255)), workers=2)
    facts = built.facts["splits"]
    assert [facts[name]["images"] for name in ("train", "val", "trainval")] == [43, 50, 93]
    for part in ("by_class", "left_out"):
        sums = np.add(facts["train"]["counted"][part], facts["val"]["counted"][part])
        assert np.array_equal(sums, facts["trainval"]["counted"][part])
    assert built.facts["label_map"] is None


def test_camvid(real_data):
    root = need(real_data / "camvid")
    splits = {
        name: {"images": name, "masks": f"{name}annot", "list": f"{name}.txt"} for name in ("train", "val")
    }
    listings = {name: read_masks([root], name, spec) for name, spec in splits.items()}
    built = build_manifest(listings, MaskChecks(LabelSpace.of(11, 11)), workers=2)
    facts = built.facts["splits"]
    assert (facts["train"]["images"], facts["val"]["images"]) == (367, 101)
    assert facts["train"]["smallest"] == facts["val"]["largest"] == [480, 360]
    assert all(facts["train"]["counted"]["by_class"]) and built.facts["label_map"][11] == 255
    listed = (root / "val.txt").read_text().split()
    assert [row["id"] for row in built.index["splits"]["val"]] == listed
    void = sum(int((np.asarray(Image.open(root / "valannot" / f"{key}.png")) == 11).sum()) for key in listed)
    assert facts["val"]["counted"]["left_out"] == void


def described(listings, classes):
    built = build_manifest(listings, BoxChecks(classes), workers=2)
    objects = {name: Objects.unpacked(found) for name, found in built.index["columns"].items()}
    return built, built.facts["splits"], objects


def test_bccd_has_two_clicks_without_area(real_data):
    root = need(real_data / "bccd")
    classes = ["background", "RBC", "WBC", "Platelets"]
    spec = {"images": "BCCD/JPEGImages", "annotations": "BCCD/Annotations"}
    sets = {"all": None, "train": "train", "val": "val", "test": "test"}
    listings = {
        name: read_voc_xml([root], name, spec | ({"list": f"BCCD/ImageSets/Main/{one}.txt"} if one else {}))
        for name, one in sets.items()
    }
    built, facts, objects = described(listings, classes)
    assert [facts[name]["images"] for name in sets] == [364, 205, 87, 72]
    skipped = facts["all"]["zero_area"]
    assert skipped == {"boxes": 2, "images": 2, "records": {"BloodImage_00338": 1, "BloodImage_00343": 1}}
    assert facts["all"]["clipped"]["boxes"] == 0
    # 4,155 RBC, 372 WBC and 361 platelets, of which the two clicks are RBC
    assert facts["all"]["counted"]["by_class"] == [4153, 372, 361]
    boxes = objects["all"].boxes
    assert boxes.min() == 0 and (boxes[:, 2].max(), boxes[:, 3].max()) == (640, 480)
    assert any("2 boxes have no area" in line for line in built.facts["warnings"])


def test_voc2012_sample_boxes_are_those_of_the_xml(real_data):
    root = need(real_data / "voc2012_sample")
    names = ["background", *CLASSES]
    listings = {"all": read_voc_detection([root], "all", {"sets": ["2012/train", "2012/val"]})}
    _, facts, objects = described(listings, names)
    assert (facts["all"]["images"], facts["all"]["objects"], facts["all"]["difficult"]) == (100, 273, 38)
    expected = []
    for record in listings["all"].records:
        for item in ET.parse(root / record.annotation).getroot().iter("object"):
            x1, y1, x2, y2 = (float(item.find(f"bndbox/{side}").text) for side in CORNERS)
            expected.append([x1 - 1, y1 - 1, x2, y2, names.index(item.find("name").text)])
    found = objects["all"]
    assert np.array_equal(np.column_stack([found.boxes, found.labels]), np.array(expected))


@pytest.mark.parametrize("kind", ["genuine_subset", "derived_from_panoptic"])
def test_coco_sample_is_what_pycocotools_reads(real_data, kind):
    root = need(real_data / "coco2017_sample")
    names = ["background", *(category.name for category in COCO_CATEGORIES)]
    for split in ("train2017", "val2017"):
        file = f"annotations/instances_{split}_{kind}.json"
        spec = {"images": f"images/{split}", "annotations": file}
        listings = {split: read_coco_json([root], split, spec)}
        _, facts, objects = described(listings, names)
        api = COCO(str(root / file))
        assert [(one["id"], one["name"], one["supercategory"]) for one in api.dataset["categories"]] == [
            (one.id, one.name, one.group) for one in COCO_CATEGORIES
        ]
        ids = sorted(api.imgs)
        assert [record.id for record in listings[split].records] == [str(key) for key in ids]
        entries = [one for key in ids for one in api.loadAnns(api.getAnnIds(imgIds=key))]
        assert facts[split]["zero_area"]["boxes"] == 0
        found = objects[split]
        assert len(found) == len(entries) and facts[split]["crowd"] == sum(one["iscrowd"] for one in entries)
        boxes = np.array([one["bbox"] for one in entries])
        boxes[:, 2:] += boxes[:, :2]
        # those of `clipped` reach over the border by a fraction of a pixel
        assert np.abs(found.boxes - boxes).max() < 0.05
        assert np.allclose(found.areas, [one["area"] for one in entries])
        assert [COCO_CATEGORIES[label - 1].id for label in found.labels] == [
            one["category_id"] for one in entries
        ]


SETS = {"train": "train2017", "val": "val2017"}


@pytest.fixture
def coco_archives(real_data, tmp_path):
    """The sample laid out as COCO's three archives are, each with its own folder."""
    sample = need(real_data / "coco2017_sample")
    (tmp_path / "annotations" / "annotations").mkdir(parents=True)
    for name in SETS.values():
        (tmp_path / name).mkdir()
        (tmp_path / name / name).symlink_to(sample / "images" / name)
        (tmp_path / "annotations" / "annotations" / f"instances_{name}.json").symlink_to(
            sample / "annotations" / f"instances_{name}_genuine_subset.json"
        )
    return [tmp_path / name for name in (*SETS.values(), "annotations")]


def test_coco_sample_in_the_official_layout_is_its_json_and_gives_batches(coco_archives, tmp_path):
    names = ["background", *(category.name for category in COCO_CATEGORIES)]
    listings = {
        split: read_coco(coco_archives, split, {"set": name, "classes": names})
        for split, name in SETS.items()
    }
    built, facts, objects = described(listings, names)
    crowds = {}
    for split, name in SETS.items():
        content = json.loads((coco_archives[2] / f"annotations/instances_{name}.json").read_text())
        images = {image["id"]: image for image in content["images"]}
        names_of = {category["id"]: category["name"] for category in content["categories"]}
        assert [int(record.id) for record in listings[split].records] == sorted(images)
        for record in listings[split].records:
            image = images[int(record.id)]
            entries = [entry for entry in content["annotations"] if entry["image_id"] == image["id"]]
            assert (listings[split].root / record.image).resolve().name == image["file_name"]
            assert record.size == (image["width"], image["height"])
            assert [names[one.label] for one in record.objects] == [
                names_of[entry["category_id"]] for entry in entries
            ]
            assert [one.crowd for one in record.objects] == [entry["iscrowd"] == 1 for entry in entries]
            assert [one.area for one in record.objects] == [entry["area"] for entry in entries]
            corners = [(x, y, x + width, y + height) for x, y, width, height in (e["bbox"] for e in entries)]
            assert [one.box for one in record.objects] == corners
        crowds[split] = sum(entry["iscrowd"] for entry in content["annotations"])
        assert facts[split]["crowd"] == crowds[split] == objects[split].crowd.sum()
        assert facts[split]["images"] == len(images)
        assert facts[split]["objects"] == len(content["annotations"])
    assert crowds == {"train": 4, "val": 1}

    path, index = tmp_path / "manifest.json", tmp_path / "index.json"
    write_json(index, built.index)
    described_by = {"dataset": "coco", "index": str(index), "classes": names, **built.facts}
    write_json(path, {"content": built.content, **described_by})
    transform = DetectionTrainTransform.of(DetectionAugment([[133, 80]], 0.5), [0.5] * 3, [0.5] * 3)
    dataset = DetectionDataset(path, "train", transform)
    learned = {
        int(record.id) for record in listings["train"].records if any(not o.crowd for o in record.objects)
    }
    assert {int(dataset.index.ids[record]) for record in dataset.records} == learned
    seen = 0
    for images, targets in training_loader(dataset, seed=0, batch=8, total_steps=2):
        for image, target in zip(images, targets, strict=True):
            record = listings["train"].records[int(target["image_id"])]
            kept = [one for one in record.objects if not one.crowd]
            assert target["labels"].tolist() == [one.label for one in kept]
            assert np.allclose(target["area"], [one.area for one in kept])
            height, width = image.shape[1:]
            across, down = width / record.size[0], height / record.size[1]
            stated = np.array([one.box for one in kept]) * [across, down, across, down]
            mirrored = stated.copy()
            mirrored[:, [0, 2]] = width - stated[:, [2, 0]]
            assert any(np.abs(target["boxes"].numpy() - one).max() < 0.05 for one in (stated, mirrored))
            seen += 1
    assert seen == 16
