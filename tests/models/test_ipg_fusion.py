"""IPG-Net's fusion operators against their printed formulas, and what they start as."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_src.models.fusion.ipg_fusion import OPERATORS, GuidanceFusion, interpolate_channels
from tests.models.miniatures import randomise


@pytest.mark.parametrize(
    ("count", "channels"), [(8, 12), (12, 8), (16, 20), (64, 20), (5, 1), (1, 7), (96, 320)]
)
def test_channels_are_interpolated_linearly_with_half_pixel_centres(count: int, channels: int) -> None:
    x = torch.randn(2, count, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
    ours = interpolate_channels(x, channels)
    assert ours.shape == (2, channels, 5, 3)
    # torch's own interpolation, one sequence per pixel
    sequences = x.permute(0, 2, 3, 1).reshape(30, 1, count)
    torchs = F.interpolate(sequences, size=channels, mode="linear", align_corners=False)
    torch.testing.assert_close(ours, torchs.reshape(2, 5, 3, channels).permute(0, 3, 1, 2))
    # the closed form: channel c lies at (c + 1/2) C / C' - 1/2, clamped to the ends
    places = (np.arange(channels) + 0.5) * count / channels - 0.5
    for n, i, j in ((0, 0, 0), (1, 4, 2), (0, 3, 1)):
        expected = np.interp(places, np.arange(count), x[n, :, i, j].numpy())
        np.testing.assert_allclose(ours[n, :, i, j].numpy(), expected, rtol=1e-9, atol=1e-12)


def test_equal_channels_pass_as_they_are() -> None:
    x = torch.randn(1, 6, 2, 2)
    assert interpolate_channels(x, 6) is x


def test_gradients_pass_the_channel_interpolation() -> None:
    x = torch.randn(1, 5, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: interpolate_channels(value, 8), x)


def applied(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution as a matrix at each pixel."""
    product = torch.einsum("oc,nchw->nohw", convolution.weight[:, :, 0, 0], x)
    return product + convolution.bias[:, None, None]


def by_hand(fusion: GuidanceFusion, name: str, image: Tensor, r: Tensor) -> Tensor:
    count = image.shape[1]
    places = ((torch.arange(r.shape[1]).double() + 0.5) * count / r.shape[1] - 0.5).clamp(0, count - 1)
    low = places.floor().long()
    high = (low + 1).clamp(max=count - 1)
    weight = (places - low).to(image.dtype)[:, None, None]
    ct = image[:, low] * (1 - weight) + image[:, high] * weight
    s = applied(fusion.project_image, ct)
    m = applied(fusion.project_backbone, r)
    if name == "sum":
        return applied(fusion.project, s + m)
    if name == "concat":
        return applied(fusion.project, torch.cat([s, m], dim=1))
    inner = s * m + r
    mean = inner.mean(dim=1, keepdim=True)
    variance = (inner - mean).square().mean(dim=1, keepdim=True)
    normed = (inner - mean) / (variance + 1e-5).sqrt()
    normed = normed * fusion.norm.weight[:, None, None] + fusion.norm.bias[:, None, None]
    return normed if fusion.gate is None else r + fusion.gate * (normed - r)


@pytest.mark.parametrize("image_channels", [12, 8, 20])
@pytest.mark.parametrize("identity_start", [True, False])
@pytest.mark.parametrize("name", OPERATORS)
@torch.no_grad()
def test_operators_are_the_printed_formulas(name: str, identity_start: bool, image_channels: int) -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        fusion = OPERATORS[name](12, identity_start)
        for parameter in fusion.parameters():
            nn.init.normal_(parameter)
        fusion = fusion.double()
        image = torch.randn(2, image_channels, 5, 7, dtype=torch.float64)
        r = torch.randn(2, 12, 5, 7, dtype=torch.float64)
        torch.testing.assert_close(fusion(image, r), by_hand(fusion, name, image, r), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OPERATORS)
@torch.no_grad()
def test_a_feature_of_another_size_is_resized_to_the_stages(name: str) -> None:
    fusion = randomise(OPERATORS[name](8, identity_start=False)).double()
    image, r = torch.randn(1, 8, 4, 9).double(), torch.randn(1, 8, 5, 7).double()
    resized = F.interpolate(image, size=(5, 7), mode="bilinear", align_corners=False)
    torch.testing.assert_close(fusion(image, r), fusion(resized, r))


@pytest.mark.parametrize("channels", [1, 20, 256])
@pytest.mark.parametrize("name", OPERATORS)
@torch.no_grad()
def test_the_identity_start_is_exact(name: str, channels: int) -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        fusion = OPERATORS[name](channels, identity_start=True)
        r = torch.randn(2, channels, 7, 5) * torch.logspace(-6, 6, 5)
        image = 100 * torch.randn(2, 48, 7, 5)
        assert torch.equal(fusion(image, r), r)
        assert not torch.equal(OPERATORS[name](channels, identity_start=False)(image, r), r)


@torch.no_grad()
def test_without_the_identity_start_the_linear_operators_keep_the_scale() -> None:
    for name in ("sum", "concat"):
        torch.manual_seed(0)
        fusion = OPERATORS[name](256, identity_start=False)
        image, r = torch.randn(2, 256, 16, 16), torch.randn(2, 256, 16, 16)
        # two independent branches of variance 1: their sum has 2, a projection of both keeps 1
        expected = math.sqrt(2) if name == "sum" else 1.0
        assert fusion(image, r).std().item() == pytest.approx(expected, rel=0.05)


def zero_gradients(module: nn.Module) -> set[str]:
    return {name for name, p in module.named_parameters() if not p.grad.abs().sum() > 0}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_come_at_once_or_after_one_update(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    for identity_start in (False, True):
        fusion = OPERATORS[name](12, identity_start)
        optimizer = torch.optim.SGD(fusion.parameters(), lr=0.1)
        dead = []
        for _ in range(2):
            image = torch.randn(2, 8, 5, 7, requires_grad=True)
            optimizer.zero_grad()
            fusion(image, torch.randn(2, 12, 5, 7)).mul(torch.randn(2, 12, 5, 7)).sum().backward()
            dead.append(zero_gradients(fusion) | (set() if image.grad.abs().sum() > 0 else {"F"}))
            optimizer.step()
        every = {parameter for parameter, _ in fusion.named_parameters()}
        at_first = {
            "sum": {"F"},
            "product": every - {"gate"} | {"F"},
            "concat": {"F", "project_image.weight", "project_image.bias"},
        }
        assert dead == [at_first[name] if identity_start else set(), set()]


@pytest.mark.parametrize("channels", [8, 12])
def test_parameters_are_counted_by_formula(channels: int) -> None:
    c = channels
    expected = {
        "sum": 3 * (c * c + c),
        "product": 2 * (c * c + c) + 2 * c,
        "concat": 2 * (c * c + c) + 2 * c * c + c,
    }
    for name, kind in OPERATORS.items():
        assert sum(p.numel() for p in kind(c, identity_start=False).parameters()) == expected[name]
        gate = name == "product"
        assert sum(p.numel() for p in kind(c, identity_start=True).parameters()) == expected[name] + gate
