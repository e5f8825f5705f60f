import shutil

import pytest

from pipeline_src.data.readers.ade20k import ade20k_sources, read_ade20k
from pipeline_src.errors import InputError


def read(root, name="training", **spec):
    return read_ade20k([root], "train", {"set": name, **spec})


@pytest.fixture
def copy(ade20k_folder, tmp_path):
    shutil.copytree(ade20k_folder / "ADEChallengeData2016", tmp_path / "ade")
    return tmp_path / "ade"


def refusal(root, name="training"):
    with pytest.raises(InputError) as caught:
        read(root, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "count"), [("training", 5), ("validation", 3)])
def test_lists_a_set_sorted_with_the_mask_of_every_image(ade20k_folder, name, count):
    listing = read(ade20k_folder, name)
    folder = ade20k_folder / "ADEChallengeData2016"
    assert listing.root == folder and listing.problems == listing.warnings == ()
    assert [record.id for record in listing.records] == sorted(
        path.stem for path in (folder / "images" / name).iterdir()
    )
    assert len(listing.records) == count
    for record in listing.records:
        assert record.image == f"images/{name}/{record.id}.jpg" and (folder / record.image).is_file()
        assert record.mask == f"annotations/{name}/{record.id}.png" and (folder / record.mask).is_file()
    assert listing.sources == ade20k_sources([ade20k_folder], {"set": name})


def test_root_may_hold_the_folder_or_be_it(ade20k_folder):
    assert read(ade20k_folder) == read(ade20k_folder / "ADEChallengeData2016")


def test_limit_shortens_a_set(ade20k_folder):
    everything = [record.id for record in read(ade20k_folder).records]
    some = [record.id for record in read(ade20k_folder, limit=2).records]
    assert len(some) == 2 and some == [key for key in everything if key in some]


def test_missing_layout_names_the_archive(tmp_path):
    assert refusal(tmp_path) == (
        f"{tmp_path}: no ADEChallengeData2016 with a folder images; "
        "is the archive ADEChallengeData2016.zip extracted there?"
    )


@pytest.mark.parametrize("kind", ["images", "annotations"])
def test_missing_split_names_the_folder_and_what_is_expected(copy, kind):
    shutil.rmtree(copy / kind / "validation")
    assert refusal(copy, "validation") == (
        f"{copy / kind / 'validation'}: no such folder; "
        "ADE20K has images and annotations, each with training and validation"
    )
    assert len(read(copy, "training").records) == 5


def test_set_without_an_image_is_named(copy):
    for path in (copy / "images/training").iterdir():
        path.unlink()
    assert "images/training: holds no image; split 'train' needs" in refusal(copy)


def test_images_without_a_mask_are_one_problem(copy):
    for number in (2, 4):
        (copy / f"annotations/training/ADE_train_{number:08d}.png").unlink()
    listing = read(copy)
    assert listing.problems == (
        "train record 'ADE_train_00000002': mask annotations/training/ADE_train_00000002.png is missing; "
        "2 of 5 images have no mask in annotations/training",
    )


def test_masks_without_an_image_are_a_warning(copy):
    (copy / "images/training/ADE_train_00000001.jpg").unlink()
    assert read(copy).warnings == (
        "train: 1 masks have no image, first annotations/training/ADE_train_00000001.png",
    )
