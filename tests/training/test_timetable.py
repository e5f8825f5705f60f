import pytest

from pipeline_src.errors import InputError
from pipeline_src.training.preflight import check_batch, check_crop, check_warmup
from pipeline_src.training.timetable import Timetable
from tests.training.toy_training import read_recipe as recipe


def test_an_epoch_drops_or_keeps_the_last_short_batch():
    assert Timetable.of(recipe(epochs=3), samples=11) == Timetable(2, 6, None, None)
    assert Timetable.of(recipe(epochs=3, drop_last=False), samples=11) == Timetable(3, 9, None, None)
    assert Timetable.of(recipe(epochs=3, drop_last=False), samples=12) == Timetable(3, 9, None, None)


def test_iterations_set_the_length_whatever_the_epoch():
    by_steps = recipe(epochs=None, iterations=7, schedule={"kind": "constant"})
    assert Timetable.of(by_steps, samples=11).total_steps == 7


def test_batch_norm_is_frozen_from_the_first_step_of_its_epoch():
    table = Timetable.of(recipe(epochs=4, freeze_bn_at_epoch=2), samples=11)
    assert [table.bn_frozen(step) for step in range(8)] == [False] * 4 + [True] * 4
    always = Timetable.of(recipe(freeze_bn_at_epoch=0), samples=11)
    assert always.bn_frozen(0)
    assert not Timetable.of(recipe(), samples=11).bn_frozen(10**9)


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ({"epochs": 1}, [2, 4, 6, 8, 10]),
        ({"epochs": 2, "iterations": None}, [4, 8, 10]),
        ({"iterations": 3, "epochs": None}, [3, 6, 9, 10]),
        ({"iterations": 99}, [10]),
        (None, []),
    ],
)
def test_validation_is_due_at_its_interval_and_at_the_end(every, steps):
    table = Timetable.of(recipe(epochs=5, validate_every=every), samples=11)
    assert [done for done in range(11) if table.validation_due(done)] == steps


@pytest.mark.parametrize(
    ("changes", "samples", "world", "message"),
    [
        ({"batch": 6}, 11, 4, r"recipe.batch: 6 .* 4 processes x 1 micro-batches; use a multiple of 4"),
        ({"batch": 6, "accumulate": 2}, 11, 2, r"recipe.batch: 6 .* multiple of 4"),
        ({"batch": 12}, 11, 1, r"recipe.batch: 12 is more than the 11 samples .* at most 11"),
        ({}, 0, 1, r"split train: holds no samples"),
        ({"drop_last": False}, 11, 2, r"recipe.drop_last: false leaves a last batch of 3"),
    ],
)
def test_a_batch_that_cannot_be_formed_is_refused_by_its_key(changes, samples, world, message):
    with pytest.raises(InputError, match=message) as caught:
        check_batch(recipe(**changes), samples, world)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "samples", "world"),
    [
        ({"batch": 4, "accumulate": 2}, 11, 2),
        ({"batch": 11}, 11, 1),
        ({"batch": 12, "drop_last": False}, 11, 1),
        ({"drop_last": False}, 10, 2),
        ({"drop_last": False}, 12, 4),
    ],
)
def test_a_batch_that_can_be_formed_is_accepted(changes, samples, world):
    check_batch(recipe(**changes), samples, world)


def test_a_warmup_that_leaves_nothing_of_the_epochs_is_refused_by_its_key():
    message = r"recipe.warmup.iterations: 10 leaves nothing of the 10 iterations .* use fewer"
    with pytest.raises(InputError, match=message):
        check_warmup(recipe(epochs=5, warmup={"iterations": 10, "ratio": 0.1}), 11)
    check_warmup(recipe(epochs=5, warmup={"iterations": 9, "ratio": 0.1}), 11)
    check_warmup(recipe(epochs=5), 11)


def model(stride, scales=None, decoder=None):
    pyramid = scales and {"kind": "dfp", "depth": 2, "scales": scales}
    return {"backbone": {"output_stride": stride}, "pyramid": pyramid, "decoder": decoder or {"kind": "fcn"}}


@pytest.mark.parametrize(
    ("crop", "batch", "accumulate", "section", "refused"),
    [
        ([32, 32], 1, 1, model(32), True),
        ([32, 33], 1, 1, model(32), False),
        ([32, 32], 2, 1, model(32), False),
        ([32, 32], 2, 2, model(32), True),
        ([64, 32], 1, 1, model(32, [1.0, 0.5]), True),
        ([64, 96], 1, 1, model(32, [1.0, 0.5]), False),
    ],
)
def test_a_crop_that_leaves_one_value_per_channel_is_refused(crop, batch, accumulate, section, refused):
    changed = recipe(batch=batch, accumulate=accumulate)
    if not refused:
        check_crop(changed, crop, section, 11)
        return
    with pytest.raises(InputError, match=r"recipe.augment.crop: \d+x\d+ at stride (32|64) "):
        check_crop(changed, crop, section, 11)


PSP = {"kind": "psp", "pool_scales": [1, 2, 3, 6]}


@pytest.mark.parametrize(
    ("changes", "decoder", "refused"),
    [
        ({"batch": 1}, PSP, "recipe.batch: 1 leaves 1 sample in a micro-batch.* 1x1 pooling .* at least 2$"),
        ({"batch": 1}, {"kind": "psp", "pool_scales": [6, 3, 2, 1]}, "recipe.batch: 1 "),
        ({"batch": 1}, {"kind": "uper", "pool_scales": [1]}, "recipe.batch: 1 "),
        ({"batch": 1}, {"kind": "uper", "pool_scales": [2, 1]}, "recipe.batch: 1 "),
        ({"batch": 1}, {"kind": "aspp"}, "recipe.batch: 1 "),
        ({"batch": 3, "accumulate": 3}, {"kind": "sep_aspp"}, "recipe.batch: 3 .* use at least 6$"),
        (
            {"batch": 2, "drop_last": False},
            PSP,
            "recipe.drop_last: false leaves a last .* 1, .* use true$",
        ),
        ({"batch": 2}, PSP, None),
        ({"batch": 1}, {"kind": "psp", "pool_scales": [2, 3]}, None),
        ({"batch": 1}, {"kind": "fcn"}, None),
        ({"batch": 3, "drop_last": False}, PSP, None),
        ({"batch": 11, "drop_last": False}, PSP, None),
    ],
)
def test_a_micro_batch_of_one_sample_is_refused_where_a_decoder_pools_to_one_cell(changes, decoder, refused):
    changed = recipe(**changes)
    section = model(32, decoder=decoder)
    if refused is None:
        check_crop(changed, [512, 512], section, 11)
        return
    with pytest.raises(InputError, match=refused) as caught:
        check_crop(changed, [512, 512], section, 11)
    assert "\n" not in str(caught.value)
