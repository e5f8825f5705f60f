"""What every decoder declares of itself is true: levels, concatenations, and the convolutions that read."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline_src.config.resolve import concatenations
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.fusion.fused_concat import Consumer, FusedConcat, FusedSum
from tests.models.heads import SECTIONS, SIZES, assert_near, levels_of, maps, small_head
from tests.models.test_build_model import DFP, resolved

FACTOR = 3.0


class Times(nn.Module):
    """Multiplies by `FACTOR`."""

    def forward(self, x: Tensor) -> Tensor:
        return FACTOR * x


def divide_weights(consumers: list[Consumer], channels: int) -> None:
    with torch.no_grad():
        for convolution, first in consumers:
            part = slice(first, first + channels)
            if convolution.groups > 1:
                convolution.weight[part] /= FACTOR
            else:
                convolution.weight[:, part] /= FACTOR


def own_concats(head: DecodeHead) -> dict[str, FusedConcat]:
    return {
        f"decoder.{name}": module for name, module in head.named_modules() if isinstance(module, FusedConcat)
    }


@pytest.mark.parametrize("name", SECTIONS)
@torch.no_grad()
def test_logits_have_the_size_of_the_finest_level_read(name: str) -> None:
    head = small_head(name)
    features = maps(head, SECTIONS[name])
    assert head(list(features.values())).shape == (2, 4, *SIZES[min(features)])
    assert levels_of(SECTIONS[name]) == sorted(features)


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("level", [2, 3, 4, 5])
@torch.no_grad()
def test_a_factor_on_a_map_is_undone_in_the_convolutions_that_read_it(name: str, level: int) -> None:
    head = small_head(name)
    features = maps(head, SECTIONS[name])
    readers = head.input_convolutions(level)
    assert bool(readers) == (level in features)
    if not readers:
        return
    before = head(list(features.values()))
    features[level] = FACTOR * features[level]
    changed = head(list(features.values()))
    assert (changed - before).abs().max() > 1e-2 * before.abs().max()
    divide_weights(readers, features[level].shape[1])
    assert_near(head(list(features.values())), before)


@pytest.mark.parametrize("name", SECTIONS)
@torch.no_grad()
def test_a_factor_on_a_branch_is_undone_in_the_consumers_of_its_concatenation(name: str) -> None:
    reference = small_head(name)
    features = list(maps(reference, SECTIONS[name]).values())
    before = reference(features)
    for place, original in own_concats(reference).items():
        for branch, width in enumerate(original.channels):
            # a copy keeps what is connected to what
            head = copy.deepcopy(reference)
            concat = own_concats(head)[place]
            concat.equalizers[branch] = Times()
            assert (head(features) - before).abs().max() > 1e-3 * before.abs().max()
            first = sum(original.channels[:branch])
            divide_weights([(conv, offset + first) for conv, offset in concat.consumers], width)
            assert_near(head(features), before)


@pytest.mark.parametrize("name", SECTIONS)
@torch.no_grad()
def test_the_unit_of_a_branch_makes_exactly_that_branch(name: str) -> None:
    head = small_head(name)
    made: dict[nn.Module, Tensor] = {}
    for concat in own_concats(head).values():
        for unit in concat.units:
            if unit is not None:
                unit.register_forward_hook(lambda module, _, output: made.update({module: output}))
    seen: dict[FusedConcat, list[Tensor]] = {}
    for concat in own_concats(head).values():
        concat.register_forward_pre_hook(lambda module, args: seen.update({module: list(args[0])}))
    head(list(maps(head, SECTIONS[name]).values()))
    for concat, branches in seen.items():
        for unit, branch in zip(concat.units, branches, strict=True):
            assert unit is None or made[unit] is branch


def test_branches_without_a_unit_are_raw_maps_and_what_feeds_the_top_down_path() -> None:
    lacking = {
        (name, place, branch)
        for name in SECTIONS
        for place, concat in own_concats(small_head(name)).items()
        for branch, unit in zip(concat.names, concat.units, strict=True)
        if unit is None
    }
    assert lacking == {
        ("fcn", "decoder.concat", "input"),
        ("psp", "decoder.ppm.concat", "input"),
        ("uper", "decoder.ppm.concat", "input"),
        ("uper", "decoder.concat", "level 5"),
    }


class CountCats(TorchDispatchMode):
    """Counts concatenations, wherever they come from."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten.cat.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", SECTIONS)
@torch.no_grad()
def test_every_concatenation_is_a_fused_one_with_the_name_that_the_rules_give(name: str) -> None:
    head = small_head(name)
    ran: list[str] = []
    for place, concat in own_concats(head).items():
        concat.register_forward_hook(lambda *_, place=place: ran.append(place))
    with CountCats() as cats:
        head(list(maps(head, SECTIONS[name]).values()))
    assert ran == [one.name for one in concatenations({"decoder": SECTIONS[name], "pyramid": None})]
    assert cats.count == len(ran)


@pytest.mark.parametrize("pyramid", [None, {**DFP, "fusion": "concat"}, {**DFP, "fusion": "sum"}])
@pytest.mark.parametrize("name", SECTIONS)
def test_a_whole_network_has_the_concatenations_that_the_rules_list(name: str, pyramid: dict | None) -> None:
    section = {**resolved(pyramid=pyramid, decoder=SECTIONS[name])}
    section["auxiliary"] = {"kind": "fcn", "level": 4, "num_convs": 1, "channels": 6, "concat_input": False}
    found = {
        name
        for name, module in build_segmentor(section).named_modules()
        if isinstance(module, FusedConcat) and not isinstance(module, FusedSum)
    }
    assert found == {one.name for one in concatenations(section)}


@pytest.mark.parametrize("name", ["psp", "sep_aspp", "uper"])
@torch.no_grad()
def test_align_corners_reaches_every_resize(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[bool] = set()
    real = torch.nn.functional.interpolate

    def spy(*args: Any, **options: Any) -> Tensor:
        used.add(options["align_corners"])
        return real(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "interpolate", spy)
    for align_corners in (False, True):
        head = small_head(name, align_corners=align_corners)
        used.clear()
        head(list(maps(head, SECTIONS[name]).values()))
        assert used == {align_corners}
