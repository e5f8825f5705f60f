"""Resizing into a scale, crops by class share, and the whole sequence with all of its steps."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode, v2

from pipeline_src.data.segmentation import transform_options as options
from pipeline_src.data.segmentation.photometric import DistortionRange, distort
from pipeline_src.data.segmentation.transform_options import Augment
from pipeline_src.data.segmentation.transforms import (
    CROP_REDRAWS,
    Normalise,
    PadTo,
    PhotometricDistortion,
    RandomCrop,
    RandomFlip,
    RandomResize,
    Sample,
    TrainTransform,
    crop,
    fitted_size,
    flip,
    resize,
    resize_to,
    varied,
)
from pipeline_src.options import from_json

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FULL = Augment(
    resize=options.RandomResize([0.5, 2.0], [80, 40]), crop=[32, 48], max_class_share=0.75, photometric=True
)


def make(height, width, seed=0, classes=(0, 1, 7, 20, 255)):
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    return Sample(image, torch.from_numpy(rng.choice(np.array(classes, dtype=np.uint8), (height, width))))


def equal(one, other):
    return torch.equal(one.image, other.image) and torch.equal(one.mask, other.mask)


@pytest.mark.parametrize(
    ("size", "scale", "factor", "expected"),
    [
        ((375, 500), (2048, 512), 1.0, (512, 683)),  # the short side decides: x 1.3653
        ((500, 375), (2048, 512), 1.0, (683, 512)),
        ((1024, 2048), (2048, 1024), 0.5, (512, 1024)),
        ((100, 1000), (2048, 512), 1.0, (205, 2048)),  # the long side decides: x 2.048
        ((683, 512), (2048, 512), 1.0, (683, 512)),
        ((4, 1000), (50, 20), 1.0, (1, 50)),  # no side vanishes
    ],
)
def test_an_image_is_fitted_into_a_scale(size, scale, factor, expected):
    assert fitted_size(size, scale, factor) == expected


@given(st.integers(8, 60), st.integers(8, 60), st.integers(20, 40), st.integers(0, 60), st.floats(0.5, 2))
@settings(max_examples=60, deadline=None)
def test_the_fitted_size_is_that_of_torchvision_but_for_its_cutting_off(height, width, short, more, factor):
    scale = (short + more, short)
    found = np.array(fitted_size((height, width), scale, factor))
    sides = int(scale[1] * factor), int(scale[0] * factor)
    if sides[0] == sides[1]:
        return  # torchvision wants the two to differ
    theirs = v2.functional.resize(torch.zeros(1, height, width), [sides[0]], max_size=sides[1]).shape[1:]
    # theirs cuts both the scale and the result off; a pixel of the short side is `aspect` of the long one
    aspect = max(height, width) / min(height, width)
    assert (np.abs(found - np.array(theirs)) <= 2 + aspect).all()
    assert found.max() <= scale[0] * factor + 0.5 and found.min() <= max(1, scale[1] * factor + 0.5)


def test_resize_into_a_scale_draws_as_without_and_resizes_as_torchvision():
    step, sample = RandomResize((0.5, 2.0), (80, 40)), make(30, 47, 2)
    for seed in range(20):
        factor = RandomResize((0.5, 2.0)).draw(np.random.default_rng(seed))
        found = step(sample, np.random.default_rng(seed))
        size = fitted_size((30, 47), (80, 40), factor)
        assert found.size == size
        image = v2.functional.resize(
            sample.image.double(), list(size), InterpolationMode.BILINEAR, antialias=False
        )
        assert (found.image - image).abs().max() <= 0.5 + 1e-6
        mask = v2.functional.resize(sample.mask[None], list(size), InterpolationMode.NEAREST_EXACT)[0]
        assert torch.equal(found.mask, mask)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_crop_and_flip_of_given_place_are_torchvisions(height, width, crop_height, crop_width):
    sample = make(height, width)
    top, left = height // 3, width // 4
    window = (top, left, min(crop_height, height - top), min(crop_width, width - left))
    found = flip(crop(sample, top, left, crop_height, crop_width))
    for ours, theirs in ((found.image, sample.image), (found.mask, sample.mask)):
        expected = v2.functional.horizontal_flip(v2.functional.crop(theirs, *window))
        assert torch.equal(ours, expected)


def accepted(mask, share):
    counts = Counter(label for label in mask.flatten().tolist() if label != 255)
    return len(counts) > 1 and max(counts.values()) / sum(counts.values()) < share


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 0.75, 1.0]))
@settings(max_examples=200, deadline=None)
def test_class_share_is_that_of_labelled_pixels(height, width, seed, share):
    mask = make(height, width, seed, classes=(3, 3, 3, 9, 255, 255)).mask
    assert varied(mask, share) == accepted(mask, share)


def test_exactly_the_share_is_too_much():
    mask = torch.tensor([[1, 1, 1, 2], [255, 255, 255, 255]], dtype=torch.uint8)
    assert not varied(mask, 0.75) and varied(mask, 0.76)
    assert not varied(torch.full((2, 2), 255, dtype=torch.uint8), 0.75)


@pytest.mark.parametrize("seed", range(60))
def test_crops_are_drawn_until_one_is_varied_and_the_eleventh_is_taken(seed):
    rng = np.random.default_rng(seed)
    mask = torch.zeros(40, 60, dtype=torch.uint8)
    side = int(rng.integers(1, 9))
    mask[20 : 20 + side, 30 : 30 + side] = 5
    mask[:, :8] = 255
    sample = Sample(make(40, 60, seed).image, mask)
    step = RandomCrop((12, 10), 0.9)
    generator, places = np.random.default_rng(seed), []
    while not places or (not accepted(crop(sample, *places[-1], 12, 10).mask, 0.9) and len(places) < 11):
        places.append(step.draw(sample.size, generator))
    used = np.random.default_rng(seed)
    assert equal(step(sample, used), crop(sample, *places[-1], 12, 10))
    assert used.random() == generator.random()  # no draw more, no draw less


def test_a_hopeless_image_costs_eleven_draws():
    class Counting(RandomCrop):
        def draw(self, size, rng):
            drawn.append(size)
            return super().draw(size, rng)

    drawn = []
    Counting((4, 4), 0.75)(
        Sample(make(9, 9).image, torch.ones(9, 9, dtype=torch.uint8)), np.random.default_rng()
    )
    assert len(drawn) == 1 + CROP_REDRAWS == 11


def test_without_a_share_the_crop_is_the_first_draw():
    sample = make(30, 30)
    found = RandomCrop((8, 8))(sample, np.random.default_rng(5))
    place = RandomCrop((8, 8)).draw((30, 30), np.random.default_rng(5))
    assert equal(found, crop(sample, *place, 8, 8))


def test_all_steps_come_in_order():
    transform = TrainTransform.of(replace(FULL, max_class_share=0.1), MEAN, STD)
    sample = make(33, 50, 3)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        size = fitted_size((33, 50), (80, 40), float(rng.uniform(0.5, 2)))
        expected = resize_to(sample, size)
        for _ in range(11):
            top = int(rng.integers(max(0, size[0] - 32) + 1))
            left = int(rng.integers(max(0, size[1] - 48) + 1))
        expected = crop(expected, top, left, 32, 48)
        if rng.random() < 0.5:
            expected = flip(expected)
        image = distort(expected.image.numpy(), DistortionRange().draw(rng))
        expected = PadTo((32, 48))(Normalise(MEAN, STD)(Sample(torch.from_numpy(image), expected.mask)))
        found = transform(sample.image, sample.mask, np.random.default_rng(seed))
        assert torch.equal(found[0], expected.image) and torch.equal(found[1], expected.mask.long())


def test_a_sample_is_the_same_for_any_number_of_threads():
    threads, transform = torch.get_num_threads(), TrainTransform.of(FULL, MEAN, STD)
    try:
        for seed in range(20):
            sample = make(*np.random.default_rng(seed).integers(30, 130, 2), seed)
            found = []
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                found.append(transform(sample.image, sample.mask, np.random.default_rng(seed)))
            assert all(torch.equal(found[0][part], other[part]) for other in found for part in (0, 1))
    finally:
        torch.set_num_threads(threads)


def test_distortion_keeps_the_mask_and_leaves_the_image_it_was_given():
    sample = make(20, 30)
    before = sample.image.clone()
    for seed in range(10):
        found = PhotometricDistortion()(sample, np.random.default_rng(seed))
        assert found.mask is sample.mask and found.image.dtype == torch.uint8
    assert torch.equal(sample.image, before)


def test_keys_that_are_not_set_change_nothing():
    sample = make(40, 51)
    for section in ({"crop": [16, 16]}, {"crop": [16, 16], "resize": {"ratio": [0.5, 2.0]}}):
        steps = TrainTransform.of(from_json(Augment, section), MEAN, STD).steps
        resized = [RandomResize((0.5, 2.0))] if "resize" in section else []
        rest = [RandomCrop((16, 16)), RandomFlip(0.5), Normalise(MEAN, STD), PadTo((16, 16))]
        assert list(steps) == [*resized, *rest]
    assert equal(
        RandomResize((0.5, 2.0))(sample, np.random.default_rng(1)),
        resize(sample, float(np.random.default_rng(1).uniform(0.5, 2.0))),
    )


def test_a_scale_has_its_long_side_first():
    with pytest.raises(ValueError, match=r"scale \[512, 2048\]: the long side comes first"):
        from_json(Augment, {"crop": [8, 8], "resize": {"ratio": [0.5, 2.0], "scale": [512, 2048]}})
