import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import Cityscapes

from pipeline_src.data.scenes.cityscapes import write_cityscapes
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file

KNOWN = {item.train_id: item for item in Cityscapes.classes if item.train_id not in (255, -1)}
CITIES = {"train": ["firsttown", "secondtown"], "val": ["thirdtown"]}


def name_of(scene):
    """`<city>/<id>` that a scene should have: dealt to the split's cities in turn."""
    number, cities = int(scene.id.split("_")[1]), CITIES[scene.split]
    city = cities[number % len(cities)]
    return f"{city}/{city}_{number // len(cities):06d}_000019"


def read(folder, scene, kind):
    return Image.open(folder / "gtFine" / scene.split / f"{name_of(scene)}_gtFine_{kind}.png")


@pytest.mark.parametrize("split", ["train", "val"])
def test_torchvision_reads_images_labels_instances_and_colours(cityscapes_folder, street_scenes, split):
    found = Cityscapes(str(cityscapes_folder), split=split, target_type=["semantic", "instance", "color"])
    by_image = {path: index for index, path in enumerate(found.images)}
    wanted = [scene for scene in street_scenes if scene.split == split]
    assert len(by_image) == len(wanted)
    label_ids = np.array([KNOWN[train_id].id for train_id in range(19)])
    colours = np.array([KNOWN[train_id].color for train_id in range(19)])
    for scene in wanted:
        path = cityscapes_folder / "leftImg8bit" / split / f"{name_of(scene)}_leftImg8bit.png"
        image, (labels, instances, colour) = found[by_image[str(path)]]
        assert np.array_equal(np.asarray(image), scene.image)
        assert np.array_equal(np.asarray(labels), np.where(scene.void, 0, label_ids[scene.labels]))
        assert np.array_equal(
            np.asarray(colour)[..., :3], np.where(scene.void[..., None], 0, colours[scene.labels])
        )
        assert instances.size == image.size


def test_modes_are_those_of_the_archive(cityscapes_folder, street_scenes):
    modes = {"labelIds": "L", "instanceIds": "I;16", "color": "RGBA"}
    assert {kind: read(cityscapes_folder, street_scenes[0], kind).mode for kind in modes} == modes


def test_instance_ids_number_the_objects_of_classes_with_instances(cityscapes_folder, street_scenes):
    told_apart, groups, several = 0, 0, 0
    for scene in street_scenes:
        labels = np.asarray(read(cityscapes_folder, scene, "labelIds")).astype(int)
        instances = np.asarray(read(cityscapes_folder, scene, "instanceIds")).astype(int)
        # the official scripts: an id from 1000 on is class * 1000 + number, below it is the class itself
        assert np.array_equal(np.where(instances >= 1000, instances // 1000, instances), labels)
        expected: dict[int, list[int]] = {}
        for item in scene.objects:
            pixels = (scene.instances == item.instance) & ~scene.void
            if not pixels.any():
                continue
            ids = set(instances[pixels].tolist())
            assert len(ids) == 1
            (found,) = ids
            known = KNOWN[item.label]
            if item.crowd or not known.has_instances:
                assert found == known.id
                groups += known.has_instances
            else:
                expected.setdefault(known.id, []).append(found)
                told_apart += 1
        for label, ids in expected.items():
            assert ids == [label * 1000 + number for number in range(len(ids))]
            several += len(ids) > 1
        assert set(instances[instances >= 1000].tolist()) == {key for ids in expected.values() for key in ids}
    assert told_apart and groups and several


def test_same_scenes_same_bytes(cityscapes_folder, street_scenes, tmp_path):
    write_cityscapes(street_scenes, tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4 * len(street_scenes)
    for path in files:
        assert digest_file(path) == digest_file(cityscapes_folder / path.relative_to(tmp_path))


def test_split_or_class_that_the_layout_does_not_have_is_refused(tmp_path):
    settings = SceneSettings(seed=1, smallest=(64, 64), largest=(64, 64), objects=(6, 6))
    with pytest.raises(InputError, match="Cityscapes' layout has no split 'aug'; use train, val"):
        write_cityscapes(generate_scenes(settings, "aug", 1), tmp_path)
    with pytest.raises(InputError, match=r"object class (19|20); Cityscapes has 18 beside the background"):
        write_cityscapes(generate_scenes(settings, "train", 30), tmp_path)
