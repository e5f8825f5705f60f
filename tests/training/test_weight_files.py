import torch
from safetensors.torch import load_file
from torch import nn

from pipeline_src.training.weight_files import digest_of_weights, save_weights, weights_of
from tests.training.toy_training import ToyModel


def test_saved_weights_are_all_parameters_and_buffers_to_the_bit(tmp_path):
    model = ToyModel()
    save_weights(tmp_path / "m.safetensors", weights_of(model))
    loaded = load_file(tmp_path / "m.safetensors")
    assert loaded.keys() == model.state_dict().keys()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())


def test_tied_and_transposed_weights_can_be_saved(tmp_path):
    model = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
    model[1].weight = model[0].weight
    model.register_buffer("turned", torch.arange(6.0).reshape(2, 3).T)
    save_weights(tmp_path / "m.safetensors", weights_of(model))
    loaded = load_file(tmp_path / "m.safetensors")
    assert torch.equal(loaded["0.weight"], loaded["1.weight"])
    assert torch.equal(loaded["turned"], model.turned)


def test_digest_ignores_order_and_file_but_sees_name_type_shape_and_value(tmp_path):
    weights = {"a": torch.zeros(2, 3), "b": torch.tensor(4), "c": torch.ones(2, dtype=torch.bfloat16)}
    digest = digest_of_weights(weights)
    assert digest == digest_of_weights(dict(reversed(weights.items())))
    save_weights(tmp_path / "m.safetensors", weights)
    assert digest == digest_of_weights(load_file(tmp_path / "m.safetensors"))

    changed = [
        {"a": weights["a"], "b": weights["b"], "d": weights["c"]},
        {**weights, "a": torch.zeros(3, 2)},
        {**weights, "a": torch.zeros(2, 3, dtype=torch.int32)},
        {**weights, "b": torch.tensor(5)},
        {**weights, "a": torch.tensor([[0.0, 0, 0], [0, 0, 1e-45]])},
    ]
    assert digest not in {digest_of_weights(other) for other in changed}
