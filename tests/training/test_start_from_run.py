import pytest
import torch
from safetensors.torch import save_file

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.errors import InputError
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.training.start_from_run import load_matching
from tests.training.toy_training import ToyModel


def toy_model(seed=0):
    torch.manual_seed(seed)
    return ToyModel()


def test_matching_tensors_are_loaded_and_the_rest_is_listed(tmp_path):
    given, model = toy_model(1).state_dict(), toy_model(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given["head.weight"] = torch.zeros(5, 6, 1, 1)
    given["neck.weight"] = torch.zeros(2)
    del given["bn.bias"]
    save_file(given, tmp_path / "other.safetensors")

    listed = load_matching(model, tmp_path / "other.safetensors")
    after = model.state_dict()
    assert listed == {
        "loaded": 6,
        "other_shape": ["head.weight"],
        "only_in_model": ["bn.bias"],
        "only_in_file": ["neck.weight"],
    }
    assert torch.equal(after["conv.weight"], given["conv.weight"])
    assert torch.equal(after["head.weight"], before["head.weight"])
    assert not torch.equal(after["conv.weight"], before["conv.weight"])


def test_a_file_that_matches_nothing_or_is_no_weights_file_is_refused_by_name(tmp_path):
    foreign, broken = tmp_path / "foreign.safetensors", tmp_path / "broken.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    broken.write_bytes(b"not weights")
    for path in (foreign, broken, tmp_path / "missing.safetensors"):
        with pytest.raises(InputError, match=path.name):
            load_matching(toy_model(), path)


@pytest.mark.parametrize(
    ("giver", "taker"),
    [
        ("dfp/depth-0/seed-0", "dfp/depth-2/seed-0"),
        ("dfp/depth-2/seed-0", "ipg_positions/position-none/seed-0"),
        ("dfp/depth-0/seed-0", "ipg_positions/position-stage-3/seed-0"),
        ("ipg_positions/position-stage-3/seed-0", "dfp/depth-0/seed-0"),
    ],
)
def test_a_backbone_starts_another_network_whatever_is_around_it(tmp_path, giver, taker):
    runs = expand(load_params(scale="smoke")).runs
    given, model = (network_of(runs[name].model, seed) for seed, name in enumerate((giver, taker)))
    save_file(given.state_dict(), tmp_path / "given.safetensors")

    listed = load_matching(model, tmp_path / "given.safetensors")
    (before,), (after,) = (backbones_of(network) for network in (given, model))
    expected, found = before.net.state_dict(), after.net.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert listed["loaded"] >= len(found)
    assert not [name for name in listed["only_in_model"] + listed["only_in_file"] if ".net." in name]
    assert set(listed["only_in_model"]) < set(model.state_dict())


def network_of(section, seed):
    torch.manual_seed(seed)
    return (build_detector if section["detector"] else build_segmentor)(section, None)


def backbones_of(network):
    return [module for module in network.modules() if isinstance(module, StagedBackbone)]
