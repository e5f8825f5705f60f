import copy

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from pipeline_src.training.batchnorm import (
    GlooSyncBatchNorm2d,
    batch_norms,
    convert_sync_batchnorm,
    freeze_batch_norm,
)
from pipeline_src.training.make_optimizer import build_optimizer
from tests.training.rank_functions import (
    CHANNELS,
    norm_layer,
    one_rank_of_bfloat16,
    one_rank_of_synchronised_norm,
    one_value_over_two_ranks,
    pack,
    pass_through,
    random_batch,
    statistics_of_two_ranks,
)
from tests.training.toy_training import ADAMW, SGD, ToyModel, read_recipe, run_ranks

# --- over all ranks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "split"),
    [
        (nn.BatchNorm2d, {}, [3]),
        (nn.BatchNorm2d, {"momentum": None}, [1]),
        (nn.BatchNorm2d, {"affine": False, "track_running_stats": False}, [4]),
        (BatchNormAct2d, {"act_layer": nn.Hardswish}, [5]),
        (nn.BatchNorm2d, {}, [6]),  # the second rank has no sample at all
    ],
    ids=["equal", "unequal, cumulative", "bare", "fused activation", "empty rank"],
)
def test_two_ranks_equal_one_norm_over_the_concatenated_batch(kind, options, split):
    batches = [random_batch(seed, 6) for seed in range(3)]
    upstream = [random_batch(seed + 10, 6) for seed in range(3)]
    answers = run_ranks(one_rank_of_synchronised_norm, 2, kind, options, batches, upstream, split)
    expected = pack(pass_through(norm_layer(kind, **options), batches, upstream))

    for part, name in enumerate(["outputs", "input gradients"]):
        for step, whole in enumerate(expected[part]):
            both = torch.cat([torch.from_numpy(answer[part][step]) for answer in answers])
            torch.testing.assert_close(both, torch.from_numpy(whole), rtol=1e-9, atol=1e-9, msg=name)
    for answer in answers:
        for part in (2, 3):
            assert answer[part].keys() == expected[part].keys()
            for name, value in expected[part].items():
                torch.testing.assert_close(
                    torch.from_numpy(answer[part][name]),
                    torch.from_numpy(value),
                    rtol=1e-9,
                    atol=1e-9,
                    msg=name,
                )


def test_one_value_per_channel_over_all_ranks_is_refused():
    with pytest.raises(RuntimeError, match="ValueError: one value per channel"):
        run_ranks(one_value_over_two_ranks, 2)


def test_half_precision_input_keeps_its_type_and_single_precision_statistics():
    answers = run_ranks(one_rank_of_bfloat16, 2)
    values = torch.cat([torch.from_numpy(answer[2]) for answer in answers])
    for dtype, mean, _ in answers:
        assert dtype == "torch.bfloat16"
        torch.testing.assert_close(torch.from_numpy(mean), 0.1 * values.mean((0, 2, 3)))


@pytest.mark.parametrize("own", [True, False])
def test_running_statistics_are_shared_where_ranks_have_their_own(own):
    (first, first_after, fixed), (second, second_after, other) = run_ranks(statistics_of_two_ranks, 2, own)
    assert np.array_equal(first, second) != own
    assert np.array_equal(first_after, first) and np.array_equal(second_after, first)
    assert (fixed[0], other[0]) == (0, 1)  # what does not learn is nobody's business


def test_alone_the_synchronised_norm_is_batch_norm_to_the_bit():
    batches, upstream = [random_batch(0, 3)], [random_batch(1, 3)]
    ours = pass_through(norm_layer(GlooSyncBatchNorm2d), batches, upstream)
    theirs = pass_through(norm_layer(), batches, upstream)
    assert torch.equal(ours[0][0], theirs[0][0])
    assert torch.equal(ours[1][0], theirs[1][0])
    assert all(torch.equal(ours[3][name], theirs[3][name]) for name in theirs[3])


# --- conversion --------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_conversion_keeps_state_dict_keys_and_the_parameter_objects(device):
    model = nn.Sequential(ToyModel(), nn.ModuleDict({"norm": BatchNormAct2d(3)}))
    before = dict(model.named_parameters())
    keys = list(model.state_dict())
    model = convert_sync_batchnorm(model, torch.device(device))
    kind = nn.SyncBatchNorm if device == "cuda" else GlooSyncBatchNorm2d
    assert list(model.state_dict()) == keys
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    assert [isinstance(norm, kind) for norm in batch_norms(model)] == [True, True]


@pytest.mark.parametrize("training", [True, False])
def test_conversion_of_a_fused_norm_keeps_its_activation_and_mode(training):
    fused = BatchNormAct2d(CHANNELS, act_layer=nn.Hardswish).train(training)
    inputs = random_batch(0, 3, torch.float32)
    expected = copy.deepcopy(fused)(inputs)
    converted = convert_sync_batchnorm(fused, torch.device("cpu"))
    assert converted.training is training
    torch.testing.assert_close(converted(inputs), expected)


def test_conversion_reaches_a_norm_that_has_two_names():
    shared = nn.BatchNorm2d(CHANNELS)
    model = convert_sync_batchnorm(nn.ModuleDict({"a": shared, "b": shared}), torch.device("cpu"))
    assert isinstance(model["a"], GlooSyncBatchNorm2d)
    assert model["a"] is model["b"]


def test_conversion_refuses_a_norm_whose_forward_it_does_not_know():
    class Doubling(nn.BatchNorm2d):
        def forward(self, input):
            return 2 * super().forward(input)

    for norm in (Doubling(3), nn.BatchNorm1d(3)):
        with pytest.raises(TypeError, match=type(norm).__name__):
            convert_sync_batchnorm(nn.Sequential(norm), torch.device("cpu"))


# --- freezing ----------------------------------------------------------------------------------


def train_steps(model, optimizer, seeds, frozen):
    for seed in seeds:
        model.train()
        if frozen:
            freeze_batch_norm(model)
        torch.manual_seed(seed)
        model(torch.randn(3, 3, 6, 5)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("optimizer", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_after_the_freeze_neither_statistics_nor_momentum_nor_decay_move_a_norm(optimizer):
    torch.manual_seed(0)
    model = ToyModel()
    optimizer = build_optimizer(model, read_recipe(optimizer={**optimizer, "weight_decay": 0.5}).optimizer)
    train_steps(model, optimizer, range(4), frozen=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert before["bn.running_mean"].abs().sum() > 0

    train_steps(model, optimizer, range(4, 8), frozen=True)
    after = model.state_dict()
    for name, value in before.items():
        assert torch.equal(after[name], value) == name.startswith("bn."), name


def test_a_gradient_that_is_there_at_the_freeze_is_not_applied():
    model = ToyModel()
    optimizer = build_optimizer(model, read_recipe().optimizer)
    model(torch.randn(2, 3, 6, 5)).square().mean().backward()
    before = model.bn.weight.clone()
    freeze_batch_norm(model)
    optimizer.step()
    assert torch.equal(model.bn.weight, before)


def test_a_frozen_norm_normalises_with_its_running_statistics():
    model = nn.Sequential(norm_layer())
    inputs = random_batch(3, 2)
    model(inputs)
    expected = copy.deepcopy(model).eval()(inputs)
    model.train()
    freeze_batch_norm(model)
    assert torch.equal(model(inputs), expected)
    assert model.training
