import numpy as np
import pytest
from PIL import Image

from pipeline_src.data.label_tables import ADE20K_CLASSES
from pipeline_src.data.scenes.ade20k import write_ade20k
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file

PREFIX = {"train": "training/ADE_train", "val": "validation/ADE_val"}


def names(scenes):
    """The scenes with the name that each should have: folder, prefix, number from 1."""
    return [(scene, f"{PREFIX[scene.split]}_{int(scene.id.split('_')[1]) + 1:08d}") for scene in scenes]


def test_files_are_those_of_the_archive(ade20k_folder, street_scenes):
    top = ade20k_folder / "ADEChallengeData2016"
    expected = {"objectInfo150.txt", "sceneCategories.txt"}
    for _, name in names(street_scenes):
        expected |= {f"images/{name}.jpg", f"annotations/{name}.png"}
    assert {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()} == expected


def test_masks_are_grey_with_void_as_zero_and_the_background_as_one(ade20k_folder, street_scenes):
    top = ade20k_folder / "ADEChallengeData2016"
    for scene, name in names(street_scenes):
        mask = Image.open(top / "annotations" / f"{name}.png")
        assert mask.mode == "L"
        ids = np.asarray(mask).astype(int)
        assert np.array_equal(ids == 0, scene.void) and scene.void.any()
        assert np.array_equal(ids[~scene.void], scene.labels[~scene.void].astype(int) + 1)
        image = Image.open(top / "images" / f"{name}.jpg")
        assert image.mode == "RGB" and np.abs(np.asarray(image).astype(int) - scene.image).mean() < 4


def test_lists_say_what_the_masks_hold(ade20k_folder, street_scenes):
    top = ade20k_folder / "ADEChallengeData2016"
    lines = (top / "sceneCategories.txt").read_text().splitlines()
    assert lines == [f"{name.split('/')[1]} generated" for _, name in names(street_scenes)]
    head, *rows = (top / "objectInfo150.txt").read_text().splitlines()
    assert head == "Idx\tRatio\tTrain\tVal\tName" and len(rows) == 150
    labelled = np.concatenate([scene.labels[~scene.void] for scene in street_scenes])
    for label, row in enumerate(rows):
        index, ratio, train, val, name = row.split("\t")
        assert (int(index), name) == (label + 1, ADE20K_CLASSES[label])
        assert float(ratio) == pytest.approx((labelled == label).mean(), abs=5.1e-5)
        for split, count in (("train", train), ("val", val)):
            scenes = [scene for scene in street_scenes if scene.split == split]
            assert int(count) == sum((scene.labels[~scene.void] == label).any() for scene in scenes)


def test_same_scenes_same_bytes(ade20k_folder, street_scenes, tmp_path):
    write_ade20k(street_scenes, tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert digest_file(path) == digest_file(ade20k_folder / path.relative_to(tmp_path))


def test_split_that_the_layout_does_not_have_is_refused(tmp_path):
    settings = SceneSettings(seed=1, smallest=(32, 32), largest=(32, 32))
    with pytest.raises(InputError, match="ADE20K's layout has no split 'aug'; use train, val"):
        write_ade20k(generate_scenes(settings, "aug", 1), tmp_path)
