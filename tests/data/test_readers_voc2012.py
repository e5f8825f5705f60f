import shutil

import pytest

from pipeline_src.data.readers.voc2012 import read_voc2012
from pipeline_src.errors import InputError


def ids(listing):
    return [record.id for record in listing.records]


def read(root, name, *others, **spec):
    return read_voc2012([root, *others], "train", {"set": name, **spec})


@pytest.mark.parametrize("name", ["train", "val", "trainval"])
def test_lists_an_image_set_in_the_order_of_its_list(voc_folder, name):
    voc = voc_folder / "VOCdevkit" / "VOC2012"
    listing = read(voc_folder, name)
    assert ids(listing) == (voc / "ImageSets/Segmentation" / f"{name}.txt").read_text().split()
    assert listing.root == voc
    for record in listing.records:
        assert (voc / record.image).is_file() and (voc / record.mask).is_file()
        assert record.image == f"JPEGImages/{record.id}.jpg"


def test_root_may_be_the_archive_the_devkit_or_the_year(voc_folder):
    listings = [read(voc_folder / below, "val") for below in ("", "VOCdevkit", "VOCdevkit/VOC2012")]
    assert listings[0] == listings[1] == listings[2]


def test_trainaug_is_train_and_what_sbd_adds_without_val(voc_folder):
    listing = read(voc_folder, "trainaug")
    train, val = ids(read(voc_folder, "train")), ids(read(voc_folder, "val"))
    masks = {path.stem for path in (listing.root / "SegmentationClassAug").iterdir()}
    assert ids(listing)[: len(train)] == train
    assert set(ids(listing)) == (masks - set(val)) | set(train)
    assert len(set(ids(listing))) == len(listing.records) == 7 + 5
    folders = {record.id: record.mask.split("/")[0] for record in listing.records}
    assert {key for key, folder in folders.items() if folder == "SegmentationClass"} == set(train)


def test_sbd_masks_may_lie_below_a_root_of_their_own(voc_folder, tmp_path):
    beside = read(voc_folder, "trainaug")
    shutil.copytree(voc_folder / "VOCdevkit", tmp_path / "voc" / "VOCdevkit")
    aug = tmp_path / "voc" / "VOCdevkit" / "VOC2012" / "SegmentationClassAug"
    (tmp_path / "sbd").mkdir()
    aug.rename(tmp_path / "sbd" / "SegmentationClassAug")
    listing = read(tmp_path / "voc", "trainaug", tmp_path / "sbd")
    assert ids(listing) == ids(beside)
    assert all((listing.root / record.mask).is_file() for record in listing.records)
    assert listing.sources[-1] == "../../../sbd/SegmentationClassAug"


def test_missing_layout_set_and_aug_folder_are_named(voc_folder, tmp_path):
    with pytest.raises(InputError, match="no VOCdevkit/VOC2012 with a JPEGImages folder"):
        read(tmp_path, "train")
    with pytest.raises(InputError, match=r"Segmentation/test\.txt: no such split list"):
        read(voc_folder, "test")
    shutil.copytree(voc_folder, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/VOCdevkit/VOC2012/SegmentationClassAug")
    with pytest.raises(InputError, match="no SegmentationClassAug folder, which trainaug takes"):
        read(tmp_path / "copy", "trainaug")


def test_limit_shortens_a_set(voc_folder):
    everything = ids(read(voc_folder, "train"))
    some = ids(read(voc_folder, "train", limit=3))
    assert len(some) == 3 and some == [key for key in everything if key in some]
