import itertools

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from pipeline_src.errors import InputError
from tests.training.toy_training import read_recipe

EPOCHS, STEPS_PER_EPOCH = 7, 5
TOTAL = EPOCHS * STEPS_PER_EPOCH


def rates(schedule, lr=0.3, warmup=None, total=TOTAL):
    recipe = read_recipe(schedule=schedule, warmup=warmup, epochs=EPOCHS)
    return [recipe.learning_rate(step, lr, STEPS_PER_EPOCH, total) for step in range(total)]


def torch_rates(make, lr=0.3, steps=TOTAL, step_every=1):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    seen = []
    for step in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % step_every == 0:
            scheduler.step()
    return seen


def test_constant_schedule_never_changes():
    assert rates({"kind": "constant"}) == [0.3] * TOTAL


def test_linear_epoch_falls_by_lr_over_epochs_every_epoch():
    expected = [0.3 * (EPOCHS - epoch) / EPOCHS for epoch in range(EPOCHS) for _ in range(STEPS_PER_EPOCH)]
    np.testing.assert_allclose(rates({"kind": "linear_epoch", "compound": False}), expected, rtol=1e-14)


def test_compound_linear_epoch_executes_the_printed_assignment_every_epoch():
    lr, expected = 0.3, []
    for epoch in range(EPOCHS):
        lr = lr * (1 - epoch / EPOCHS)
        expected += [lr] * STEPS_PER_EPOCH
    np.testing.assert_allclose(rates({"kind": "linear_epoch", "compound": True}), expected, rtol=1e-13)


@pytest.mark.parametrize("power", [1.0, 0.9, 2.0])
def test_poly_equals_torch_polynomial_lr(power):
    expected = torch_rates(lambda optimizer: lr_scheduler.PolynomialLR(optimizer, TOTAL, power=power))
    ours = rates({"kind": "poly", "power": power, "min_lr": 0.0})
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_poly_falls_from_lr_towards_min_lr():
    ours = rates({"kind": "poly", "power": 0.9, "min_lr": 0.01})
    assert ours[0] == pytest.approx(0.3, rel=1e-15)
    expected_last = 0.01 + 0.29 * (1 / TOTAL) ** 0.9
    assert ours[-1] == pytest.approx(expected_last, rel=1e-12)
    assert all(later < earlier for earlier, later in itertools.pairwise(ours))


@pytest.mark.parametrize("unit", ["epoch", "iteration"])
def test_step_equals_torch_multi_step_lr(unit):
    milestones = [2, 3, 6] if unit == "epoch" else [1, 12, 13, 34]
    expected = torch_rates(
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1),
        step_every=STEPS_PER_EPOCH if unit == "epoch" else 1,
    )
    ours = rates({"kind": "step", "milestones": milestones, "gamma": 0.1, "unit": unit})
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_warmup_of_a_constant_rate_equals_torch_linear_lr():
    expected = torch_rates(lambda optimizer: lr_scheduler.LinearLR(optimizer, 1 / 3, total_iters=11))
    ours = rates({"kind": "constant"}, warmup={"iterations": 11, "ratio": 1 / 3})
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_warmup_scales_what_the_schedule_says_at_the_same_step(seed):
    random = np.random.default_rng(seed)
    ratio, length = random.uniform(0, 1), int(random.integers(1, TOTAL))
    schedule = {"kind": "poly", "power": random.uniform(0.5, 2), "min_lr": 0.0}
    factor = np.interp(np.arange(TOTAL), [0, length], [ratio, 1.0])
    ours = rates(schedule, warmup={"iterations": length, "ratio": ratio})
    np.testing.assert_allclose(ours, factor * rates(schedule), rtol=1e-12)


def test_an_epoch_that_the_iterations_cut_short_counts_for_linear_epoch():
    ours = rates({"kind": "linear_epoch", "compound": False}, total=12)  # 5 + 5 + 2 steps: 3 epochs
    np.testing.assert_allclose(ours, np.repeat([0.3, 0.2, 0.1], [5, 5, 2]), rtol=1e-12)


def test_an_unknown_schedule_is_refused_by_name():
    with pytest.raises(InputError, match=r"schedule\.kind: 'cosine'; allowed: constant, "):
        rates({"kind": "cosine"})
