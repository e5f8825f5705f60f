"""Outlines are rasterised as pycocotools does, and what a file states wrongly is named."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from pipeline_src.data.instances.outlines import Outlines, pack, pack_mask, unpack
from pipeline_src.data.scenes.coco import run_lengths

SIZE = (37, 23)


def random_masks(seed, count=12):
    rng = np.random.default_rng(seed)
    return [rng.random(SIZE[::-1]) < share for share in rng.random(count)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_run_lengths_of_every_form_give_the_mask_back(seed):
    empty, full = np.zeros(SIZE[::-1], bool), np.ones(SIZE[::-1], bool)
    for mask in [*random_masks(seed), empty, full]:
        compressed = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        as_text = {"size": compressed["size"], "counts": compressed["counts"].decode()}
        for form in (run_lengths(mask), as_text):
            packed = pack(form, SIZE)
            assert packed == pack_mask(mask) == compressed["counts"]
            assert (unpack(packed, SIZE) == mask).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_polygons_rasterise_as_pycocotools_does(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        polygons = [(rng.random((points, 2)) * SIZE).ravel().tolist() for points in rng.integers(3, 9, 2)]
        expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, SIZE[1], SIZE[0])))
        assert (unpack(pack(polygons, SIZE), SIZE) == expected).all()


def test_outlines_survive_as_text():
    packed = [pack_mask(mask) for mask in random_masks(3)]
    found = Outlines.from_text(Outlines.of(packed).to_text())
    assert [found[place] for place in range(len(found))] == packed
    assert len(Outlines.from_text(Outlines.of([]).to_text())) == 0


RUNS = run_lengths(random_masks(4)[5])


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        (None, "has no segmentation; every object needs its outline"),
        ([], "has no segmentation"),
        (7, "has segmentation 7; it must be"),
        ([[1, 1, 9, 9]], "a polygon of 2 points; it needs at least three"),
        ([[1, 1, 9, 9, 5]], "2 points and half of another"),
        ([[1, 1, 9, 9, "5", 3]], "must be a list x1, y1"),
        ([[1, 1, 9, 9, float("nan"), 3]], "must be a list x1, y1"),
        ([[1, 1, 9, 9, 39, 3]], r"point \(39, 3\) outside its 37x23 image"),
        ({**RUNS, "size": [37, 23]}, r"run lengths of size \[37, 23\] .* its image has \[23, 37\]"),
        (
            {**RUNS, "counts": [*RUNS["counts"], 4]},
            r"do not decode: they cover 855 pixels, and its image has 851",
        ),
        ({**RUNS, "counts": "Zq~"}, "do not decode"),
        ({**RUNS, "counts": "Q"}, "do not decode"),
        ({**RUNS, "counts": [-1, 852]}, "do not decode"),
    ],
)
def test_a_damaged_outline_is_named(segmentation, says):
    with pytest.raises(ValueError, match=says):
        pack(segmentation, SIZE)
