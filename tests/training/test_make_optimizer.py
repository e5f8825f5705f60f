import pytest
import torch

from pipeline_src.errors import InputError
from pipeline_src.options import from_json
from pipeline_src.training.make_optimizer import build_optimizer, parameter_groups
from pipeline_src.training.optimizer_options import AdamW, Sgd
from tests.training.toy_training import ADAMW, SGD, ToyModel, read_recipe


def updated(optimizer_of, steps=4):
    torch.manual_seed(0)
    model = ToyModel(dropout=0.0).double()
    optimizer = optimizer_of(model)
    for step in range(steps):
        torch.manual_seed(step)
        model(torch.randn(2, 3, 6, 5, dtype=torch.float64)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.state_dict()


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_updates_as_torch_sgd_over_all_parameters(nesterov):
    ours = updated(lambda model: build_optimizer(model, from_json(Sgd, {**SGD, "nesterov": nesterov})))
    theirs = updated(
        lambda model: torch.optim.SGD(
            model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=nesterov
        )
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_adamw_updates_as_torch_adamw_over_all_parameters():
    ours = updated(lambda model: build_optimizer(model, from_json(AdamW, ADAMW)))
    theirs = updated(
        lambda model: torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.999), weight_decay=0.01)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_rule_splits_parameters_by_their_multipliers_and_keeps_each_exactly_once():
    model = ToyModel()

    def rule(name, parameter):
        return (0.1 if name.startswith("conv") else 1.0), (0.0 if parameter.ndim == 1 else 1.0)

    groups = parameter_groups(model, lr=0.2, weight_decay=0.5, rule=rule)
    named = {parameter: name for name, parameter in model.named_parameters()}
    found = {
        frozenset(named[parameter] for parameter in group["params"]): (
            group["base_lr"],
            group["weight_decay"],
        )
        for group in groups
    }
    assert found == {
        frozenset({"conv.weight"}): (pytest.approx(0.02), 0.5),
        frozenset({"bn.weight", "bn.bias", "head.bias"}): (0.2, 0.0),
        frozenset({"head.weight"}): (0.2, 0.5),
    }


def test_parameters_that_do_not_learn_are_left_out():
    model = ToyModel()
    model.conv.requires_grad_(False)
    (group,) = parameter_groups(model, lr=0.2, weight_decay=0.5)
    assert all(parameter is not model.conv.weight for parameter in group["params"])
    assert len(group["params"]) == 4


def test_an_unknown_optimizer_is_refused_by_name():
    with pytest.raises(InputError, match=r"optimizer\.kind: 'lion'; allowed: sgd, adamw"):
        read_recipe(optimizer={"kind": "lion", "lr": 1.0, "weight_decay": 0.0})
