"""Parameters and FLOPs against closed forms and published totals."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from pipeline_src.profiling.flops import count_flops, count_flops_by_module
from pipeline_src.profiling.parameter_count import count_parameters


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("arguments", "options", "size"),
    [
        ((3, 8, 3), {"padding": 1}, (7, 9)),
        ((6, 4, 1), {"stride": 2}, (8, 5)),
        ((8, 8, 5), {"groups": 4}, (9, 9)),
    ],
)
def test_convolution_is_two_operations_per_multiply_add(arguments, options, size, device: str) -> None:
    with torch.device(device):
        layer = nn.Conv2d(*arguments, **options)
        x = torch.zeros(2, arguments[0], *size)
        out = layer(x)
    kernel = layer.kernel_size[0] * layer.kernel_size[1] * arguments[0] // layer.groups
    assert count_flops(layer, x) == 2 * kernel * out.numel()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_attention_counts_both_products(device: str) -> None:
    class Attention(nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v)

    with torch.device(device):
        q, k, v = torch.zeros(2, 3, 10, 8), torch.zeros(2, 3, 6, 8), torch.zeros(2, 3, 6, 8)
    assert count_flops(Attention(), q, k, v) == 2 * (2 * 3) * (10 * 6 * 8) * 2


def test_norms_activations_and_resizing_count_nothing() -> None:
    layers = nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear"), nn.MaxPool2d(2)
    )
    assert count_flops(layers, torch.zeros(1, 3, 8, 8)) == 0


def test_published_totals_of_torchvision() -> None:
    for build, weights in [
        (torchvision.models.resnet50, torchvision.models.ResNet50_Weights.IMAGENET1K_V1),
        (torchvision.models.mobilenet_v2, torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1),
        (torchvision.models.swin_t, torchvision.models.Swin_T_Weights.IMAGENET1K_V1),
    ]:
        with torch.device("meta"):
            model, image = build(), torch.zeros(1, 3, 224, 224)
        assert count_parameters(model) == weights.meta["num_params"]
        # Published as multiply-adds, in units of 1e9, to three decimals.
        assert count_flops(model, image) / 2e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)


class SharedTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU())
        self.last = nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner[0](self.inner(x))
        return self.last(x) + x @ torch.ones(4, 2)


def test_shared_weights_count_once_as_parameters_and_each_time_as_flops() -> None:
    model, x = SharedTwice(), torch.zeros(5, 4)
    assert count_parameters(model) == 4 * 4 + 4 * 2
    assert count_flops_by_module(model, x) == {
        "inner.0": 2 * (2 * 5 * 4 * 4),
        "last": 2 * 5 * 4 * 2,
        "": 2 * 5 * 4 * 2,
    }
    assert not model.inner._forward_hooks
    assert count_flops(model, x) == 2 * 160 + 80 + 80


def test_a_tensor_that_two_modules_share_counts_once() -> None:
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    assert count_parameters(nn.Sequential(first, second)) == 9
    assert count_parameters(nn.BatchNorm2d(5)) == 10


def test_counting_leaves_modes_and_statistics_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model[1].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    count_flops(model, torch.randn(2, 3, 8, 8))
    assert [part.training for part in model] == [True, False, True]
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
