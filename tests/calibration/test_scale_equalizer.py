"""The three forms of a scale equalizer: what is equal to what, compared before the BN that follows."""

import copy

import pytest
import torch
from torch import nn

from pipeline_src.config.resolve import concatenations
from pipeline_src.errors import InputError
from pipeline_src.models.fusion.equalizer_options import equalised
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.models.fusion.scale_equalizer import (
    ScaleEqualizer,
    apply_scales,
    fold_scales,
    insert_equalizers,
    named_concatenations,
)
from pipeline_src.profiling.flops import count_flops
from pipeline_src.profiling.parameter_count import count_parameters
from pipeline_src.tasks.segmentation.costs import training_saved_bytes
from tests.calibration.networks import ALL_OF, DFP, IPG, batches, build, section

SCALES = {0: (0.4, 0.5), 1: (-0.2, 1.7), 2: (0.1, 0.9)}


def fusion(padding: int = 1, groups: int = 1, bias: bool = False) -> tuple[FusedConcat, nn.Conv2d, list]:
    torch.manual_seed(3)
    concat = FusedConcat([4, 2, 3])
    out = 9 if groups > 1 else 5
    convolution = nn.Conv2d(9, out, 2 * padding + 1, padding=padding, groups=groups, bias=bias).double()
    concat.connect([(convolution, 0)])
    maps = [torch.randn(2, c, *s, dtype=torch.float64) for c, s in ((4, (12, 10)), (2, (6, 5)), (3, (3, 3)))]
    return concat, convolution, maps


def divided(concat: FusedConcat, maps: list, means: bool) -> torch.Tensor:
    parts = [
        (part - (mean if means else 0.0)) / std
        for part, (mean, std) in zip(concat.align(maps), SCALES.values(), strict=True)
    ]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("groups", [1, 9])
def test_folding_weights_is_dividing_by_the_std_everywhere(padding, groups):
    concat, convolution, maps = fusion(padding, groups)
    expected = convolution(divided(concat, maps, means=False))
    fold_scales(concat, SCALES)
    assert torch.allclose(convolution(concat(maps)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 9])
@pytest.mark.parametrize("bias", [False, True])
def test_folding_means_too_is_the_module_in_the_interior_and_known_at_the_border(groups, bias):
    concat, convolution, maps = fusion(1, groups, bias)
    module = convolution(divided(concat, maps, means=True))
    weight = convolution.weight.detach().clone()
    fold_scales(concat, SCALES, means=True)
    folded = convolution(concat(maps))
    inside = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(folded[inside], module[inside], rtol=1e-10, atol=1e-12)
    # at the border: (mean / std) times the sum of the weights over the padded taps
    ratio = torch.tensor(
        [m / s for c, (m, s) in zip([4, 2, 3], SCALES.values()) for _ in range(c)], dtype=torch.float64
    )
    taps = torch.zeros(12, 10, 3, 3, dtype=torch.float64)  # 1 where a tap reads padding
    taps[0, :, 0, :] = taps[-1, :, 2, :] = 1
    taps[:, 0, :, 0] = taps[:, -1, :, 2] = 1
    if groups == 1:
        excess = torch.einsum("hwij,ocij,c->ohw", taps, weight, ratio)
    else:
        excess = torch.einsum("hwij,oij,o->ohw", taps, weight[:, 0], ratio)
    assert torch.allclose(module - folded, excess.expand_as(module), rtol=1e-9, atol=1e-12)


def test_a_batch_norm_behind_absorbs_what_folded_weights_leave_out():
    concat, convolution, maps = fusion(0)
    norm = nn.BatchNorm2d(5).double()
    module = norm(convolution(divided(concat, maps, means=True)))
    fold_scales(concat, SCALES)
    assert torch.allclose(norm(convolution(concat(maps))), module, rtol=1e-9, atol=1e-9)


def test_folded_and_module_part_at_the_first_update():
    concat, convolution, maps = fusion()
    other = copy.deepcopy(convolution)
    fold_scales(concat, SCALES)
    folded = convolution(concat(maps)).square().mean()
    module = other(divided(concat, maps, means=False)).square().mean()
    assert torch.allclose(folded, module)
    folded.backward()
    module.backward()
    start = 0
    for channels, (_, std) in zip(concat.channels, SCALES.values()):
        ours = convolution.weight.grad[:, start : start + channels]
        theirs = other.weight.grad[:, start : start + channels]
        # proportional to the raw feature, not to the equalised one
        assert torch.allclose(ours, theirs * std, rtol=1e-9)
        start += channels


def named_scales(model: nn.Module, order: list[list[str]]) -> dict[str, list[tuple[float, float]]]:
    concats = named_concatenations(model)
    values = [(0.3, 0.6), (0.5, 1.4), (-0.1, 0.8), (0.2, 2.0), (0.7, 0.9)]
    return {name: values[: len(concats[name].subjects)] for level in order for name in level}


@pytest.mark.parametrize("decoder", list(ALL_OF))
def test_folded_networks_equal_networks_that_divide(decoder):
    images = batches(1)[0]
    folded = build(section(decoder, "folded")).eval().double()
    dividing = build(section(decoder, "module")).eval().double()
    scales = named_scales(folded, ALL_OF[decoder])
    apply_scales(folded, "folded", scales)
    apply_scales(dividing, "module", {name: [(0.0, s) for _, s in v] for name, v in scales.items()})
    with torch.no_grad():
        difference = folded(images.double()) - dividing(images.double())
        plain = build(section(decoder)).eval().double()(images.double())
    # the module's buffers are float32
    assert difference.abs().max() < 1e-6 * plain.abs().max()
    assert (folded(images.double()) - plain).abs().max() > 1e-3 * plain.abs().max()


@pytest.mark.parametrize("decoder", list(ALL_OF))
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_folding_a_pyramids_concatenation_into_any_decoder(decoder, depth):
    pyramid = {**DFP, "depth": depth}
    names = [c.name for c in concatenations(section(decoder, pyramid=pyramid)) if c.nesting == 0]
    assert names
    images = batches(1)[0].double()
    folded = build(section(decoder, "folded", [names], pyramid=pyramid)).eval().double()
    dividing = build(section(decoder, "module", [names], pyramid=pyramid)).eval().double()
    scales = named_scales(folded, [names])
    apply_scales(folded, "folded", scales)
    apply_scales(dividing, "module", {name: [(0.0, s) for _, s in v] for name, v in scales.items()})
    with torch.no_grad():
        difference = folded(images) - dividing(images)
    assert difference.abs().max() < 1e-6 * dividing(images).abs().max()


def test_folding_the_concatenations_of_guided_stages_is_the_module_everywhere():
    # 1x1 convolutions with a bias: nothing is padded and nothing is left to a BN
    names = [[f"pyramid.fusions.stage{stage}.concat"] for stage in (2, 3, 4)]
    images = batches(1)[0].double()
    folded = build(section("uper", "folded", names, pyramid=IPG)).eval().double()
    module = build(section("uper", "module", names, pyramid=IPG)).eval().double()
    scales = named_scales(folded, names)
    with torch.no_grad():
        plain = folded(images)
        apply_scales(folded, "folded", scales)
        apply_scales(module, "module", scales)
        difference = folded(images) - module(images)
        assert (folded(images) - plain).abs().max() > 1e-3 * plain.abs().max()
    # the module's buffers are float32
    assert difference.abs().max() < 1e-6 * module(images).abs().max()


@pytest.mark.parametrize("decoder", list(ALL_OF))
@pytest.mark.parametrize("pyramid", [None, DFP, IPG])
def test_the_planners_list_of_concatenations_is_the_networks(decoder, pyramid):
    model = section(decoder, pyramid=pyramid)
    found = set(named_concatenations(build(model)))
    assert {one.name for one in concatenations(model)} == found


@pytest.mark.parametrize("split", ["before_downsampling", "after_downsampling"])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("family", ["resnet", "convnext"])
def test_the_planner_knows_the_fused_levels_of_a_pyramid(depth, split, family):
    model = section("uper", pyramid={**DFP, "depth": depth, "split": split}, family=family)
    found = {name for name in named_concatenations(build(model)) if name.startswith("pyramid")}
    assert {one.name for one in concatenations(model) if one.nesting == 0} == found


@pytest.mark.parametrize("decoder", list(ALL_OF))
def test_a_folded_network_costs_what_the_plain_one_costs(decoder):
    plain, folded = section(decoder), section(decoder, "folded")
    image = torch.zeros(1, 3, 64, 64)
    assert count_parameters(build(folded)) == count_parameters(build(plain))
    assert count_flops(build(folded), image) == count_flops(build(plain), image)
    saved = [training_saved_bytes(lambda m=m: build(m), 2, (64, 64)) for m in (plain, folded)]
    assert saved[0] == saved[1]


@pytest.mark.parametrize("decoder", list(ALL_OF))
def test_equalizers_leave_the_initial_weights_alone(decoder):
    plain = build(section(decoder)).state_dict()
    for form in ("module", "folded"):
        equalised_model = build(section(decoder, form)).state_dict()
        assert all(torch.equal(equalised_model[name], value) for name, value in plain.items())
        extra = equalised_model.keys() - plain.keys()
        assert bool(extra) == (form == "module")
        assert all(".equalizers." in name for name in extra)


def test_up_bn_normalises_after_the_upsampling_and_moves_what_it_can():
    plain, moved = build(section("uper")), build(section("uper", "up_bn", [["decoder.concat"]]))
    concat = named_concatenations(moved)["decoder.concat"]
    assert [type(unit[1]) if unit is not None else None for unit in concat.units] == [nn.Identity] * 3 + [
        None
    ]
    # three BN moved; the top level also feeds the top-down path, keeps its own and gets one more
    assert count_parameters(moved) - count_parameters(plain) == 2 * 6
    seen = []
    concat.register_forward_hook(lambda module, inputs, output: seen.append(output))
    moved.train()(batches(1)[0])
    assert seen[0].mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (seen[0].std(dim=(0, 2, 3)) - 1).abs().max() < 1e-2


def test_the_second_equalizer_of_sep_aspp_does_nothing_in_the_interior():
    model = build(section("sep_aspp")).double()
    concat = named_concatenations(model)["decoder.concat"]
    convolution, _ = concat.consumers[0]
    norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-12).double()
    maps = [torch.randn(3, channels, 12, 14, dtype=torch.float64) for channels in concat.channels]
    inside = (..., slice(1, -1), slice(1, -1))
    plain = norm(convolution(concat(maps))[inside])
    insert_equalizers(model, "module", ["decoder.concat"])
    scales = [(0.3, 0.6), (-0.5, 1.9)][: len(concat.subjects)]
    apply_scales(model, "module", {"decoder.concat": scales})
    equalised_maps = concat(maps)
    assert not torch.allclose(equalised_maps, torch.cat(maps, dim=1))
    assert torch.allclose(norm(convolution(equalised_maps)[inside]), plain, rtol=1e-6, atol=1e-8)


def test_double_precision_stays_double():
    x = 1 + 1e-12 * torch.arange(8, dtype=torch.float64).view(1, 2, 2, 2)
    assert torch.equal(ScaleEqualizer(0.0, 1.0)(x), x)


@pytest.mark.parametrize("std", [0.0, float("nan"), float("inf"), -1.0])
def test_a_dead_branch_is_refused_by_name(std):
    model = build(section("fcn", "folded"))
    with pytest.raises(InputError, match=r"^decoder\.concat, branch 'convs': mean 0\.2 and std .* dead"):
        apply_scales(model, "folded", {"decoder.concat": [(0.1, 1.0), (0.2, std)]})


def test_names_and_forms_that_do_not_exist_are_refused():
    model = build(section("fcn"))
    with pytest.raises(
        InputError, match=r"'decoder\.cat' is no concatenation of this network; it has decoder\.concat"
    ):
        insert_equalizers(model, "module", ["decoder.cat"])
    with pytest.raises(InputError, match=r"equalizer\.form: 'bn' is unknown"):
        insert_equalizers(model, "bn", ["decoder.concat"])
    with pytest.raises(InputError, match=r"is no concatenation of this network; it has decoder\.concat"):
        equalised(concatenations(section("fcn")), ["decoder.ppm.concat"])
    with pytest.raises(InputError, match="concatenates nothing"):
        equalised(concatenations(section("fcn", concat_input=False)), None)


def test_the_papers_choice_is_the_default():
    chosen = {decoder: equalised(concatenations(section(decoder)), None) for decoder in ALL_OF}
    assert chosen == {
        "fcn": [["decoder.concat"]],
        "psp": [["decoder.ppm.concat"]],
        "aspp": [["decoder.aspp.concat"]],
        "sep_aspp": [["decoder.aspp.concat"]],
        "uper": [["decoder.concat"]],
    }
    assert equalised(concatenations(section("uper", pyramid=DFP)), None) == [
        ["pyramid.fusions.4", "pyramid.fusions.5"],
        ["decoder.concat"],
    ]


def test_an_equalizer_keeps_half_precision():
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    assert ScaleEqualizer(0.5, 2.0)(x).dtype == torch.bfloat16
