import numpy as np
import pytest
from torchvision.datasets import Cityscapes

from pipeline_src.data.label_tables import ADE20K_CLASSES, CITYSCAPES_CLASSES
from pipeline_src.data.readers.ade20k import Ade20kReader
from pipeline_src.data.readers.cityscapes import CityscapesReader
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.errors import InputError


def test_no_map_when_masks_hold_training_ids_already():
    space = LabelSpace.of(21, 255)
    assert space.label_map is None and space.allowed == {*range(21), 255}


def test_an_ignore_index_behind_the_classes_becomes_255():
    space = LabelSpace.of(11, 11)
    assert space.allowed == set(range(12))
    assert space.label_map == (*range(11), *[255] * 245)
    assert space.described == "0..10 and the ignore index 11"


@pytest.mark.parametrize("ignore", [None, -1, 256, 65535])
def test_without_an_ignore_index_that_masks_can_hold_all_pixels_are_labelled(ignore):
    space = LabelSpace.of(4, ignore)
    assert space.label_map is None and space.allowed == {0, 1, 2, 3} and space.described == "0..3"


def test_class_ids_say_which_mask_id_a_class_has():
    space = LabelSpace.of(3, 0, [1, 2, 40])
    assert space.label_map is not None and space.allowed == {0, 1, 2, 40}
    assert [space.label_map[mask_id] for mask_id in (0, 1, 2, 40, 3)] == [255, 0, 1, 2, 255]


def test_ade20k_ids_move_down_by_one_and_zero_is_ignored():
    space = LabelSpace.of(150, None, Ade20kReader.class_ids, Ade20kReader.ignored_ids)
    assert space.label_map is not None and space.allowed == set(range(151))
    # what a subtraction in 8-bit arithmetic gives for the ids that may occur: 0 wraps around to 255
    assert list(space.label_map[:151]) == (np.arange(151, dtype=np.uint8) - np.uint8(1)).tolist()
    assert set(space.label_map[151:]) == {255}
    assert space.described == "1..150 and, ignored, 0"


def test_cityscapes_ids_become_the_published_train_ids():
    published = "7→0 8→1 11→2 12→3 13→4 17→5 19→6 20→7 21→8 22→9 23→10 24→11 25→12 26→13 27→14 28→15 "
    published += "31→16 32→17 33→18"
    expected = {int(a): int(b) for a, b in (pair.split("→") for pair in published.split())}
    space = LabelSpace.of(19, None, CityscapesReader.class_ids, CityscapesReader.ignored_ids)
    assert space.label_map is not None and space.allowed == set(range(34))
    assert {label: train for label, train in enumerate(space.label_map) if train != 255} == expected
    assert space.described == (
        "7, 8, 11..13, 17, 19..28, 31..33 and, ignored, 0..6, 9, 10, 14..16, 18, 29, 30"
    )


def test_cityscapes_table_agrees_with_torchvision():
    known = {item.train_id: item for item in Cityscapes.classes if item.train_id not in (255, -1)}
    assert len(known) == len(CITYSCAPES_CLASSES) == 19
    for train_id, ours in enumerate(CITYSCAPES_CLASSES):
        theirs = known[train_id]
        assert (ours.name, ours.label_id, ours.colour, ours.has_instances) == (
            theirs.name,
            theirs.id,
            theirs.color,
            theirs.has_instances,
        )


def test_ade20k_has_150_different_names_in_the_official_order():
    assert len(set(ADE20K_CLASSES)) == len(ADE20K_CLASSES) == 150
    # ids and first names from objectInfo150.txt
    official = {
        1: "wall",
        13: "person",
        21: "car",
        45: "chest of drawers",
        76: "swivel chair",
        90: "television",
    }
    official |= {101: "poster", 122: "step", 131: "screen", 145: "bulletin board", 150: "flag"}
    assert {label: ADE20K_CLASSES[label - 1] for label in official} == official


@pytest.mark.parametrize(
    ("ignored", "message"),
    [([0, 2], "ignored_ids: 2 is also the mask id of class 1"), ([256], "ignored_ids: 256 is outside")],
)
def test_ignored_ids_that_are_classes_or_no_ids_are_refused(ignored, message):
    with pytest.raises(InputError, match=message):
        LabelSpace.of(2, None, [1, 2], ignored)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((11, 3), "ignore_index 3 is also the mask id of class 3"),
        ((2, 5, [4, 5]), "ignore_index 5 is also the mask id of class 1"),
        ((0, 255), r"num_classes 0: must be in 1\.\.255"),
        ((256, 255), r"num_classes 256: must be in 1\.\.255"),
        ((2, 255, [1, 1]), "2 different ids are needed"),
        ((2, 255, [0, 300]), "outside what an 8-bit mask holds"),
    ],
)
def test_ids_that_cannot_be_told_apart_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        LabelSpace.of(*arguments)
