"""DeepFuse as a merge: what each member computes, how it starts, where it sits, what it leaves alone."""

import pytest
import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork

from pipeline_src.config.resolve import concatenations
from pipeline_src.errors import InputError
from pipeline_src.models.decoders.uper import UPerHead
from pipeline_src.models.detectors.fpn import MergingFPN
from pipeline_src.models.fusion.deepfuse import DeepFuse, DeepFuseOptions, ResidualBottleneck
from pipeline_src.models.fusion.equalizer_options import equalised
from pipeline_src.models.fusion.scale_equalizer import named_concatenations
from pipeline_src.models.insert_merges import insert_merges

CHANNELS = 8
COMBINES = ["sum", "concat", "gated_product"]
WIDTHS = [6, 10, 14, 18]
OPTIONS = {"channels": CHANNELS, "pool_scales": [1, 2], "dropout": 0.0}


def maps(*sizes, channels=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    widths = channels or [CHANNELS] * len(sizes)
    return [torch.randn(2, width, *size, generator=generator) for width, size in zip(widths, sizes)]


@pytest.mark.parametrize("blocks", range(4))
@pytest.mark.parametrize("combine", COMBINES)
def test_every_member_starts_as_the_plain_sum(combine, blocks):
    lateral, above = maps((7, 5), (7, 5))
    merge = DeepFuse(CHANNELS, combine=combine, blocks=blocks, drop_path=0.3).train()
    torch.testing.assert_close(merge(lateral, above), lateral + above, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", range(3))
def test_what_a_trained_member_computes(seed):
    torch.manual_seed(seed)
    lateral, above = maps((5, 9), (5, 9), seed=seed)
    gated = DeepFuse(CHANNELS, combine="gated_product", blocks=0)
    nn.init.normal_(gated.gate.weight)
    nn.init.normal_(gated.gate.bias)
    gate = torch.einsum("oi,nihw->nohw", gated.gate.weight[:, :, 0, 0], above)
    gate = 1 / (1 + torch.exp(-(gate + gated.gate.bias[:, None, None])))
    torch.testing.assert_close(gated(lateral, above), 2 * gate * lateral + above, atol=1e-5, rtol=1e-5)

    joined = DeepFuse(CHANNELS, combine="concat", blocks=0)
    nn.init.normal_(joined.project.weight)
    left, right = joined.project.weight[:, :, 0, 0].split(CHANNELS, dim=1)
    expected = torch.einsum("oi,nihw->nohw", left, lateral) + torch.einsum("oi,nihw->nohw", right, above)
    torch.testing.assert_close(joined(lateral, above), expected, atol=1e-5, rtol=1e-5)


def test_stochastic_depth_leaves_a_bottleneck_out_of_whole_images():
    torch.manual_seed(0)
    block = ResidualBottleneck(CHANNELS, drop_path=0.5).train()
    nn.init.ones_(block.residual[3].weight)
    x = torch.randn(64, CHANNELS, 3, 3)
    change = (block(x) - x).abs().amax(dim=(1, 2, 3))
    assert 10 < int((change == 0).sum()) < 54
    assert not (block.eval()(x) == x).all(dim=-1).all(dim=-1).all(dim=-1).any()
    # what remains is scaled up, so that the mean over images stays
    for rate, left_out in ((1.0, True), (0.0, False)):
        merge = DeepFuse(CHANNELS, blocks=1, drop_path=rate).train()
        nn.init.ones_(merge.blocks[0].residual[3].weight)
        assert torch.equal(merge(x, x), x + x) is left_out


def test_a_sum_without_bottlenecks_is_the_plain_head_to_the_bit():
    features = maps((16, 13), (8, 7), (4, 4), (2, 2), channels=WIDTHS)
    heads = []
    for merged in (False, True):
        torch.manual_seed(3)
        head = UPerHead(WIDTHS, 5, **OPTIONS)
        if merged:
            section = {"merge": {"kind": "deepfuse", "combine": "sum", "blocks": 0}}
            insert_merges(head, section, UPerHead.merge_places(UPerHead.Options(**OPTIONS)))
        logits = head.train()(features)
        logits.square().sum().backward()
        heads.append((head, logits))
    (plain, expected), (other, found) = heads
    assert torch.equal(found, expected)
    assert [name for name, _ in plain.named_parameters()] == [name for name, _ in other.named_parameters()]
    pairs = zip(plain.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(ours.grad, theirs.grad) for ours, theirs in pairs)


@pytest.mark.parametrize("combine", COMBINES)
def test_a_head_with_merges_starts_as_the_plain_one_and_all_of_them_learn(combine):
    features = maps((16, 13), (8, 7), (4, 4), (2, 2), channels=WIDTHS)
    torch.manual_seed(3)
    plain = UPerHead(WIDTHS, 5, **OPTIONS).eval()
    torch.manual_seed(3)
    head = UPerHead(WIDTHS, 5, **OPTIONS).eval()
    section = {"merge": {"kind": "deepfuse", "combine": combine, "blocks": 1, "drop_path": 0.0}}
    insert_merges(head, section, UPerHead.merge_places(UPerHead.Options(**OPTIONS)))
    after = torch.rand(3)
    torch.testing.assert_close(head(features), plain(features), atol=1e-5, rtol=1e-5)
    torch.manual_seed(3)
    UPerHead(WIDTHS, 5, **OPTIONS)
    assert torch.equal(torch.rand(3), after), "merges drew from the numbers of what is built after them"

    head.train()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    before = {name: value.clone() for name, value in head.named_parameters()}
    for _ in range(2):
        optimizer.zero_grad()
        head(features).square().sum().backward()
        optimizer.step()
    assert len(head.merges) == 3
    moved = {name for name, now in head.named_parameters() if not torch.equal(now, before[name])}
    assert [
        name for name, _ in head.named_parameters() if name.startswith("merges") and name not in moved
    ] == []


def gradients_of(module, maps_by_name):
    module.zero_grad()
    sum(one.square().sum() for one in maps_by_name.values()).backward()
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


@pytest.mark.parametrize("extra", ["none", "pool"])
@pytest.mark.parametrize("combine", COMBINES)
def test_an_fpn_merges_at_every_step_of_its_top_down_path(combine, extra):
    from pipeline_src.models.detectors.fpn import _extra_block

    features = {
        str(level): one for level, one in enumerate(maps((17, 11), (9, 6), (5, 3), channels=WIDTHS[:3]))
    }
    torch.manual_seed(0)
    reference = FeaturePyramidNetwork(WIDTHS[:3], CHANNELS, extra_blocks=_extra_block(extra, CHANNELS))
    ours = MergingFPN(WIDTHS[:3], CHANNELS, _extra_block(extra, CHANNELS))
    ours.load_state_dict(reference.state_dict())
    expected = reference(features)
    gradients = gradients_of(reference, expected)
    # first without merges, then with sums, which go through our own loop
    for merges in (None, nn.ModuleList(DeepFuse(CHANNELS, combine="sum", blocks=0) for _ in range(2))):
        ours.merges = merges
        found = ours.train()(features)
        assert list(found) == list(expected)
        assert all(torch.equal(found[name], expected[name]) for name in found)
        assert [name for name, _ in ours.named_parameters()] == list(gradients)
        assert all(torch.equal(one, gradients[name]) for name, one in gradients_of(ours, found).items())
    ours.merges = nn.ModuleList(DeepFuse(CHANNELS, combine=combine, blocks=1) for _ in range(2))
    merged = ours.eval()(features)
    assert list(merged) == list(expected)
    for name in expected:
        torch.testing.assert_close(merged[name], expected[name], atol=1e-5, rtol=1e-5)
    # the place of a merge: the finest one changes the finest map alone
    nn.init.constant_(ours.merges[0].blocks[0].residual[3].bias, 1.0)
    moved = ours(features)
    assert [name for name in "012" if not torch.equal(moved[name], merged[name])] == ["0"]


def test_its_concatenation_can_be_equalised():
    head = UPerHead(WIDTHS, 5, **OPTIONS)
    section = {"merge": {"kind": "deepfuse", "combine": "concat", "blocks": 0}}
    insert_merges(head, section, UPerHead.merge_places(UPerHead.Options(**OPTIONS)))
    assert {f"merges.{index}.concat" for index in range(3)} < set(named_concatenations(head))


@torch.no_grad()
def test_equalisers_are_calibrated_in_the_order_in_which_they_feed_one_another():
    decoder = {"kind": "uper", **OPTIONS}
    section = {"merge": {"kind": "deepfuse", "combine": "concat", "blocks": 0}}
    head = UPerHead(WIDTHS, 5, **OPTIONS).eval()
    insert_merges(head, section, UPerHead.merge_places(UPerHead.Options(**OPTIONS)))
    ran = []
    for place, concat in named_concatenations(head).items():
        concat.register_forward_hook(lambda *_, place=place: ran.append([f"decoder.{place}"]))
    head(maps((16, 12), (8, 6), (4, 3), (2, 2), channels=WIDTHS))
    found = concatenations({"pyramid": None, "decoder": decoder, **section})
    assert equalised(found, [one.name for one in found]) == ran


def test_options_that_mean_the_same_are_one():
    assert DeepFuse.resolve(DeepFuseOptions(blocks=0, drop_path=0.3)) is None
    one, other = (DeepFuseOptions(combine="concat", blocks=0, drop_path=rate) for rate in (0.0, 0.7))
    assert DeepFuse.resolve(one) == DeepFuse.resolve(other) is not None
    assert DeepFuse.resolve(DeepFuseOptions(blocks=1, drop_path=0.3))["drop_path"] == 0.3


@pytest.mark.parametrize(("option", "value"), [("blocks", 4), ("combine", "mean"), ("drop_path", 1.5)])
def test_what_cannot_be_built_is_refused(option, value):
    with pytest.raises(InputError, match=option):
        DeepFuse(CHANNELS, **{option: value})


def test_a_uper_head_of_the_coarsest_level_reads_nothing_else():
    options = UPerHead.Options(**OPTIONS, levels=[5])
    assert UPerHead.needed_levels(options) == [5] and UPerHead.merge_places(options) == []
    head = UPerHead([18], 5, **OPTIONS, levels=[5]).eval()
    assert head([torch.randn(1, 18, 3, 2)]).shape == (1, 5, 3, 2)
    with pytest.raises(ValueError, match="levels"):
        UPerHead.Options(levels=[2, 5])
