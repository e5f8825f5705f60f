"""The one concatenation: upsampling, equalizers, and what a calibrator can see of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_src.models.fusion.fused_concat import FusedConcat


def random_branches(seed: int, channels: list[int], sizes: list[tuple[int, int]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, c, *size, generator=generator) for c, size in zip(channels, sizes, strict=True)]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_equals_interpolate_and_cat(seed: int, align_corners: bool) -> None:
    channels, sizes = [3, 5, 2], [(7, 9), (13, 4), (1, 1)]
    branches = random_branches(seed, channels, sizes)
    concat = FusedConcat(channels, align_corners=align_corners)
    for size, target in [(None, (13, 9)), ((20, 31), (20, 31))]:
        expected = torch.cat(
            [F.interpolate(b, size=target, mode="bilinear", align_corners=align_corners) for b in branches],
            dim=1,
        )
        torch.testing.assert_close(concat(branches, size), expected)
    assert concat.out_channels == expected.shape[1] == 10


def test_a_branch_of_the_target_size_is_passed_exactly() -> None:
    branches = random_branches(0, [4, 4], [(6, 8), (3, 4)])
    assert torch.equal(FusedConcat([4, 4])(branches)[:, :4], branches[0])


def test_an_equalizer_acts_on_its_upsampled_branch_only() -> None:
    class Scale(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[-2:] == (6, 8)
            return (x - 1.5) / 4

    branches = random_branches(1, [2, 3], [(6, 8), (3, 4)])
    concat = FusedConcat([2, 3])
    plain = concat(branches)
    concat.equalizers[1] = Scale()
    equalised = concat(branches)
    assert torch.equal(equalised[:, :2], plain[:, :2])
    torch.testing.assert_close(equalised[:, 2:], (plain[:, 2:] - 1.5) / 4)


def test_a_pre_hook_sees_low_resolution_maps_and_the_target() -> None:
    seen = []

    def observe(module: FusedConcat, inputs: tuple) -> None:
        size = module.target_size(*inputs)
        seen.extend((module.names[i], tuple(inputs[0][i].shape), size) for i in module.subjects)

    concat = FusedConcat([2, 3, 4], names=["c5", "c4", "pool"], subjects=[0, 2])
    concat.register_forward_pre_hook(observe)
    branches = random_branches(2, [2, 3, 4], [(3, 4), (6, 8), (1, 1)])
    concat(branches)
    concat(branches, (9, 9))
    assert seen == [
        ("c5", (2, 2, 3, 4), (6, 8)),
        ("pool", (2, 4, 1, 1), (6, 8)),
        ("c5", (2, 2, 3, 4), (9, 9)),
        ("pool", (2, 4, 1, 1), (9, 9)),
    ]


def test_without_equalizers_it_adds_nothing_to_a_state_dict() -> None:
    assert FusedConcat([1, 2]).state_dict() == {}


def test_branches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"branches of \[2, 4\] channels, built for \(2, 3\)"):
        FusedConcat([2, 3])(random_branches(0, [2, 4], [(2, 2), (2, 2)]))
    with pytest.raises(ValueError, match="do not fit 2 branches"):
        FusedConcat([2, 3], subjects=[2])
    with pytest.raises(ValueError, match="do not fit 2 branches"):
        FusedConcat([2, 3], names=["one"])
