import pytest

from pipeline_src.data.labels import LabelSpace
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
