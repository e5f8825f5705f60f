from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import VOCDetection, VOCSegmentation

from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.data.scenes.voc2012 import write_voc2012
from pipeline_src.data.scenes.voc_parts import CLASSES
from pipeline_src.errors import InputError

SETTINGS = SceneSettings(seed=1, smallest=(70, 50), largest=(90, 61), objects=(2, 6))
COUNTS = {"train": 6, "val": 4, "aug": 3}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc")
    scenes = [scene for split, count in COUNTS.items() for scene in generate_scenes(SETTINGS, split, count)]
    assert write_voc2012(scenes, root) == len(scenes)
    return root, {scene.id: scene for scene in scenes}


def in_voc(root):
    return root / "VOCdevkit" / "VOC2012"


@pytest.mark.parametrize("split", ["train", "val", "trainval"])
def test_torchvision_reads_images_masks_and_boxes(written, split):
    root, scenes = written
    masks = VOCSegmentation(str(root), year="2012", image_set=split)
    boxes = VOCDetection(str(root), year="2012", image_set=split)
    wanted = [key for key, scene in scenes.items() if scene.split == split or split == "trainval"]
    wanted = [key for key in wanted if scenes[key].split != "aug"]
    assert len(masks) == len(boxes) == len(wanted)
    for (image, mask), (_, tree), key in zip(masks, boxes, sorted(wanted)):
        scene = scenes[key]
        assert image.format is None or image.mode == "RGB"
        assert np.abs(np.asarray(image).astype(int) - scene.image).mean() < 4
        assert np.array_equal(np.asarray(mask), np.where(scene.void, 255, scene.labels))
        found = tree["annotation"]
        assert found["filename"] == f"{key}.jpg" and int(found["segmented"]) == 1
        assert (int(found["size"]["width"]), int(found["size"]["height"])) == image.size
        assert [item["name"] for item in found["object"]] == [
            CLASSES[item.label - 1] for item in scene.objects
        ]
        for item, expected in zip(found["object"], scene.objects):
            box = [int(item["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
            rows, columns = np.nonzero(scene.instances == expected.instance)
            assert box == [columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1]
            assert int(item["difficult"]) == expected.difficult
            assert int(item["truncated"]) == expected.truncated


def test_masks_are_palette_images_in_vocs_colours(written):
    root, _ = written
    # from the development kit: background, aeroplane, person, tvmonitor, void
    known = {0: (0, 0, 0), 1: (128, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    for folder in ("SegmentationClass", "SegmentationObject", "SegmentationClassAug"):
        for path in (in_voc(root) / folder).iterdir():
            mask = Image.open(path)
            palette = mask.getpalette()
            assert mask.mode == "P" and palette is not None
            assert {label: tuple(palette[3 * label : 3 * label + 3]) for label in known} == known


def test_object_masks_number_the_objects_of_the_annotation(written):
    root, scenes = written
    for path in (in_voc(root) / "SegmentationObject").iterdir():
        scene = scenes[path.stem]
        mask = np.asarray(Image.open(path))
        classes = np.asarray(Image.open(in_voc(root) / "SegmentationClass" / path.name))
        assert np.array_equal(mask == 255, classes == 255)
        for item in scene.objects:
            assert set(classes[mask == item.instance]) <= {item.label}
        count = len(ET.parse(in_voc(root) / "Annotations" / f"{path.stem}.xml").findall("object"))
        assert set(np.unique(mask)) - {0, 255} <= set(range(1, count + 1))


def test_aug_masks_cover_all_scenes_without_void_and_only_they_cover_aug(written):
    root, scenes = written
    voc = in_voc(root)
    assert {path.stem for path in (voc / "SegmentationClassAug").iterdir()} == set(scenes)
    assert {path.stem for path in (voc / "JPEGImages").iterdir()} == set(scenes)
    for key, scene in scenes.items():
        mask = np.asarray(Image.open(voc / "SegmentationClassAug" / f"{key}.png"))
        assert np.array_equal(mask, scene.labels)
        assert (voc / "SegmentationClass" / f"{key}.png").exists() == (scene.split != "aug")


def test_lists_of_a_class_say_present_difficult_or_absent(written):
    root, scenes = written
    for label, name in enumerate(CLASSES, 1):
        lines = (in_voc(root) / "ImageSets/Main" / f"{name}_trainval.txt").read_text().splitlines()
        assert len(lines) == COUNTS["train"] + COUNTS["val"]
        for line in lines:
            key, flag = line.split()
            difficult = [item.difficult for item in scenes[key].objects if item.label == label]
            assert int(flag) == (-1 if not difficult else int(not all(difficult)))


def test_split_that_the_layout_does_not_have_is_refused(tmp_path):
    with pytest.raises(InputError, match="VOC2012's layout has no split 'test'; use train, val, aug"):
        write_voc2012(generate_scenes(SETTINGS, "test", 1), tmp_path)
