import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from pipeline_src.data.segmentation import transform_options as options
from pipeline_src.data.segmentation.transform_options import Augment
from pipeline_src.data.segmentation.transforms import (
    EvalTransform,
    Normalise,
    PadTo,
    RandomCrop,
    RandomFlip,
    RandomResize,
    Sample,
    TrainTransform,
    crop,
    flip,
    resize,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = st.integers(1, 23)


def make(height, width, seed=0):
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    mask = torch.from_numpy(rng.choice(np.array([0, 1, 7, 20, 255], dtype=np.uint8), (height, width)))
    return Sample(image, mask)


def equal(one, other):
    return torch.equal(one.image, other.image) and torch.equal(one.mask, other.mask)


@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_crop_and_pad_match_numpy(height, width, crop_height, crop_width, seed):
    sample = make(height, width, seed)
    step = RandomCrop((crop_height, crop_width))
    top, left = step.draw(sample.size, np.random.default_rng(seed))
    assert 0 <= top <= max(0, height - crop_height) and 0 <= left <= max(0, width - crop_width)
    cut = step(sample, np.random.default_rng(seed))
    window = np.s_[top : top + crop_height, left : left + crop_width]
    assert np.array_equal(cut.image.numpy(), sample.image.numpy()[:, window[0], window[1]])
    assert np.array_equal(cut.mask.numpy(), sample.mask.numpy()[window])
    padded = PadTo((crop_height, crop_width))(cut)
    below, right = crop_height - cut.size[0], crop_width - cut.size[1]
    assert np.array_equal(padded.image.numpy(), np.pad(cut.image.numpy(), ((0, 0), (0, below), (0, right))))
    assert np.array_equal(
        padded.mask.numpy(), np.pad(cut.mask.numpy(), ((0, below), (0, right)), constant_values=255)
    )


def test_crops_are_spread_over_all_places():
    step = RandomCrop((5, 4))
    places = [step.draw((8, 6), np.random.default_rng(seed)) for seed in range(2000)]
    counts = np.unique(places, axis=0, return_counts=True)[1]
    # 12 places; 2000 draws give each 167 with a standard deviation of 12
    assert len(counts) == 12 and counts.min() > 110 and counts.max() < 225


@given(SIZES, SIZES, st.floats(0.3, 2.5))
@settings(max_examples=60, deadline=None)
def test_resize_matches_torch_for_images_and_takes_the_label_under_the_centre(height, width, factor):
    sample = make(height, width)
    new = resize(sample, factor)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    assert new.size == size == tuple(new.image.shape[1:])
    expected = torch.nn.functional.interpolate(
        sample.image[None].double(), size=size, mode="bilinear", align_corners=False, antialias=False
    )[0]
    assert (new.image.double() - expected).abs().max() <= 0.5 + 1e-3
    rows = np.floor((np.arange(size[0]) + 0.5) * height / size[0]).astype(int)
    columns = np.floor((np.arange(size[1]) + 0.5) * width / size[1]).astype(int)
    # a centre that falls on the border of two pixels may take either
    clear = [np.abs((np.arange(new) + 0.5) * old / new % 1) > 1e-4 for new, old in zip(size, (height, width))]
    wanted = sample.mask.numpy()[np.ix_(rows, columns)]
    assert np.array_equal(new.mask.numpy()[np.ix_(*clear)], wanted[np.ix_(*clear)])


def test_resize_is_the_same_for_any_number_of_threads():
    threads = torch.get_num_threads()
    try:
        for seed in range(30):
            sample = make(*np.random.default_rng(seed).integers(30, 130, 2), seed)
            factor = RandomResize((0.5, 2.0)).draw(np.random.default_rng(seed))
            found = []
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                found.append(resize(sample, factor))
            assert equal(found[0], found[1]) and equal(found[0], found[2])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("factor", [0.6, 0.77, 1.3, 1.7])
def test_resize_keeps_image_and_mask_aligned(factor):
    rng = np.random.default_rng(0)
    shifts = []
    for _ in range(500):
        mask = torch.zeros(64, 80, dtype=torch.uint8)
        top, left = rng.integers(1, 30, 2)
        mask[top : top + rng.integers(8, 30), left : left + rng.integers(8, 40)] = 1
        new = resize(Sample((mask * 200).expand(3, -1, -1).contiguous(), mask), factor)
        shifts.append(np.subtract(centre(new.image[0]), centre(new.mask)))
    # a mask sampled at the pixels' corners would lie aside by half of |1 - factor|: at least 0.11
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.06


def centre(values):
    rows, columns = np.indices(values.shape)
    weights = values.numpy().astype(float)
    return (rows * weights).sum() / weights.sum(), (columns * weights).sum() / weights.sum()


def test_resize_draws_its_factor_from_the_whole_range():
    step = RandomResize((0.5, 2.0))
    factors = np.array([step.draw(np.random.default_rng(seed)) for seed in range(1000)])
    assert factors.min() >= 0.5 and factors.max() <= 2.0
    assert abs(factors.mean() - 1.25) < 0.06 and abs(factors.std() - 1.5 / 12**0.5) < 0.03
    sample = make(10, 14)
    assert equal(step(sample, np.random.default_rng(4)), resize(sample, step.draw(np.random.default_rng(4))))


def test_flip_mirrors_columns_and_follows_its_probability():
    sample = make(5, 8)
    mirrored = flip(sample)
    assert np.array_equal(mirrored.image.numpy(), sample.image.numpy()[:, :, ::-1])
    assert np.array_equal(mirrored.mask.numpy(), sample.mask.numpy()[:, ::-1])
    for probability, low, high in ((0.0, 0, 0), (1.0, 400, 400), (0.25, 60, 140)):
        step = RandomFlip(probability)
        flips = [equal(step(sample, np.random.default_rng(seed)), mirrored) for seed in range(400)]
        assert low <= sum(flips) <= high


def test_normalise_matches_torchvision():
    sample = make(7, 9)
    scaled = v2.functional.to_dtype(sample.image, torch.float32, scale=True)
    expected = v2.Normalize(list(MEAN), list(STD))(scaled)
    found = Normalise(MEAN, STD)(sample)
    assert torch.allclose(found.image, expected, atol=1e-6) and torch.equal(found.mask, sample.mask)


def test_train_transform_pads_with_zero_after_normalising_and_ignored_labels():
    transform = TrainTransform.of(Augment(crop=[12, 20], flip=0.0), MEAN, STD)
    sample = make(9, 13)
    image, mask = transform(sample.image, sample.mask, np.random.default_rng(0))
    assert image.shape == (3, 12, 20) and image.dtype == torch.float32
    assert mask.shape == (12, 20) and mask.dtype == torch.int64
    assert torch.equal(image[:, :9, :13], Normalise(MEAN, STD)(sample).image)
    assert torch.equal(mask[:9, :13], sample.mask.long())
    assert not image[:, 9:].any() and not image[:, :, 13:].any()
    assert (mask[9:] == 255).all() and (mask[:, 13:] == 255).all()


@given(SIZES, SIZES, st.integers(0, 99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_train_transform_gives_the_crop_size_whatever_comes_in(height, width, seed, with_resize):
    augment = Augment(resize=options.RandomResize([0.5, 2.0]) if with_resize else None, crop=[9, 15])
    transform = TrainTransform.of(augment, MEAN, STD)
    sample = make(height, width, seed)
    image, mask = transform(sample.image, sample.mask, np.random.default_rng(seed))
    assert image.shape == (3, 9, 15) and mask.shape == (9, 15)
    assert set(mask.unique().tolist()) <= {*sample.mask.unique().tolist(), 255}
    again = transform(sample.image, sample.mask, np.random.default_rng(seed))
    assert torch.equal(image, again[0]) and torch.equal(mask, again[1])


def test_train_transform_is_its_steps_in_order():
    augment = Augment(resize=options.RandomResize([0.5, 2]), crop=[16, 16], flip=1.0)
    transform = TrainTransform.of(augment, MEAN, STD)
    sample = make(21, 30, 3)
    rng = np.random.default_rng(8)
    expected = resize(sample, float(rng.uniform(0.5, 2)))
    top = int(rng.integers(max(0, expected.size[0] - 16) + 1))
    left = int(rng.integers(max(0, expected.size[1] - 16) + 1))
    expected = PadTo((16, 16))(Normalise(MEAN, STD)(flip(crop(expected, top, left, 16, 16))))
    image, mask = transform(sample.image, sample.mask, np.random.default_rng(8))
    assert torch.equal(image, expected.image) and torch.equal(mask, expected.mask.long())


def test_eval_transform_only_normalises():
    sample = make(5, 11)
    image, mask = EvalTransform.of(MEAN, STD)(sample.image, sample.mask)
    assert torch.equal(image, Normalise(MEAN, STD)(sample).image)
    assert mask is sample.mask and mask.dtype == torch.uint8
