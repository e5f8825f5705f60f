import shutil

import pytest

from pipeline_src.data.readers.cityscapes import read_cityscapes
from pipeline_src.errors import InputError


def read(*roots, name="train", **spec):
    return read_cityscapes(list(roots), "train", {"set": name, **spec})


@pytest.fixture
def copy(cityscapes_folder, tmp_path):
    shutil.copytree(cityscapes_folder, tmp_path / "city")
    return tmp_path / "city"


def refusal(*roots):
    with pytest.raises(InputError) as caught:
        read(*roots)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_lists_a_set_by_city_and_name_with_the_label_ids_of_every_image(cityscapes_folder):
    listing = read(cityscapes_folder)
    assert listing.root == cityscapes_folder and listing.problems == ()
    assert [record.id for record in listing.records] == [
        "firsttown_000000_000019",
        "firsttown_000001_000019",
        "firsttown_000002_000019",
        "secondtown_000000_000019",
        "secondtown_000001_000019",
    ]
    for record in listing.records:
        city = record.id.split("_")[0]
        assert record.image == f"leftImg8bit/train/{city}/{record.id}_leftImg8bit.png"
        assert record.mask == f"gtFine/train/{city}/{record.id}_gtFine_labelIds.png"
        assert (listing.root / record.image).is_file() and (listing.root / record.mask).is_file()
    assert listing.sources == (
        "leftImg8bit/train/firsttown",
        "leftImg8bit/train/secondtown",
        "gtFine/train/firsttown",
        "gtFine/train/secondtown",
    )
    assert len(read(cityscapes_folder, name="val").records) == 3


def test_images_and_labels_may_have_a_root_each_in_any_order(cityscapes_folder, copy):
    together = read(cityscapes_folder)
    (copy.parent / "labels").mkdir()
    (copy / "gtFine").rename(copy.parent / "labels" / "gtFine")
    for roots in ((copy, copy.parent / "labels"), (copy.parent / "labels", copy)):
        listing = read(*roots)
        assert listing.root == copy
        assert [record.id for record in listing.records] == [record.id for record in together.records]
        assert [record.mask for record in listing.records] == [
            f"../labels/{record.mask}" for record in together.records
        ]
        assert all((copy / record.mask).is_file() for record in listing.records)
        assert listing.sources[-1] == "../labels/gtFine/train/secondtown"


def test_root_may_hold_a_folder_cityscapes(copy):
    copy.rename(copy.with_name("cityscapes"))
    assert len(read(copy.parent).records) == 5


def test_limit_shortens_a_set(cityscapes_folder):
    assert len(read(cityscapes_folder, limit=2).records) == 2


def test_tree_without_labels_names_the_missing_folder_and_its_archive(copy):
    shutil.rmtree(copy / "gtFine")
    assert refusal(copy) == (
        f"{copy}: no folder gtFine, which holds Cityscapes' labels; "
        "is gtFine_trainvaltest.zip extracted there?"
    )


def test_tree_without_images_names_the_missing_folder_and_its_archive(copy):
    shutil.rmtree(copy / "leftImg8bit")
    assert (
        "no folder leftImg8bit, which holds Cityscapes' images; is leftImg8bit_trainvaltest.zip"
        in refusal(copy)
    )


@pytest.mark.parametrize("kind", ["leftImg8bit", "gtFine"])
def test_missing_set_is_named(copy, kind):
    shutil.rmtree(copy / kind / "train")
    assert refusal(copy) == (
        f"{copy / kind / 'train'}: no such folder; it should hold one folder for each city"
    )


def test_set_without_an_image_is_named(copy):
    for path in (copy / "leftImg8bit/train").rglob("*.png"):
        path.unlink()
    assert "leftImg8bit/train: holds no <city>/*_leftImg8bit.png; split 'train' has no image" in refusal(copy)


def test_images_without_labels_are_one_problem_with_the_first_and_their_number(copy):
    shutil.rmtree(copy / "gtFine/train/secondtown")
    (copy / "gtFine/train/firsttown/firsttown_000001_000019_gtFine_labelIds.png").unlink()
    listing = read(copy)
    assert listing.problems == (
        "train record 'firsttown_000001_000019': mask gtFine/train/firsttown/"
        "firsttown_000001_000019_gtFine_labelIds.png is missing; "
        "3 of 5 images have no mask in gtFine/train/<city>/*_gtFine_labelIds.png",
    )
