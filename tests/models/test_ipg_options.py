"""What an IPG-Net can be built from, decided without torch."""

import itertools
from typing import Any

import pytest

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.segments import strides_after
from pipeline_src.models.fusion.ipg_options import (
    check_fusion,
    check_reach,
    check_stages,
    extra_segments,
    guided_stages,
    resolve_ipg,
)

OPTIONS: dict[str, Any] = {
    "fusion": "sum", "positions": None, "levels": 4, "identity_start": True, "stages": 4,
    "keep": False, "image_channels": None, "stem_channels": 64, "extra_channels": None,
}  # fmt: skip


def test_planning_needs_no_torch(run_python) -> None:
    code = "import sys, pipeline_src.models.fusion.ipg_options\nprint('torch' in sys.modules)"
    assert run_python(code).strip() == "False"


@pytest.mark.parametrize("stages", [4, 5, 6, 7])
def test_eq_1_guides_every_stage_from_2_on_that_has_an_image(stages: int) -> None:
    assert guided_stages(None, stages) == [2, 3, 4]
    assert guided_stages(None, stages, "stages") == list(range(2, stages + 1))


@pytest.mark.parametrize("stages", [4, 5, 6, 7])
def test_any_set_of_stages_with_an_image_can_be_chosen(stages: int) -> None:
    for levels, last in ((4, 4), ("stages", stages)):
        for count in range(last + 1):
            for chosen in itertools.combinations(range(last, 0, -1), count):
                assert guided_stages(chosen, stages, levels) == sorted(chosen)


@pytest.mark.parametrize(
    ("positions", "stages", "levels", "message"),
    [
        ([3, 5], 5, 4, "p.positions: stage 5 has no image, since the image pyramid has 4 levels; use stages"),
        ([5], 4, 4, "p.positions: 5 is no stage; the network has 1 to 4"),
        ([8], 7, "stages", "p.positions: 8 is no stage; the network has 1 to 7"),
        ([0], 4, 4, "p.positions: 0 is no stage; the network has 1 to 4"),
        ([2, 3, 2], 4, 4, "p.positions: stage 2 stands twice"),
        ([2], 4, 5, "p.levels: 5; allowed: 4, stages"),
    ],
)
def test_other_positions_are_refused(positions, stages, levels, message) -> None:
    with pytest.raises(InputError, match=message):
        guided_stages(positions, stages, levels, "p.")


def test_other_structures_are_refused() -> None:
    with pytest.raises(InputError, match="fusion: 'max'; allowed: sum, product, concat"):
        check_fusion("max")
    for stages in (3, 8):
        with pytest.raises(InputError, match=f"stages: {stages}; allowed: 4 to 7"):
            check_stages(stages, keep=False)
    with pytest.raises(InputError, match="keep: true holds the stride of stages 5 to 7, and stages is 4"):
        check_stages(4, keep=True)


def test_nothing_may_lie_behind_the_last_level_that_is_read() -> None:
    check_reach([2, 3, 4], 4, 5)
    check_reach([2, 3], 4, 4)
    check_reach([], 7, 8)
    with pytest.raises(
        InputError, match="stages: 6 end with level 7, and nothing reads a level above 5; use 4"
    ):
        check_reach([2], 6, 5)
    with pytest.raises(
        InputError, match="stages: 7 end with level 8, and nothing reads a level above 7; use 6"
    ):
        check_reach([2], 7, 7)
    with pytest.raises(InputError, match=r"positions: stage 4 ends level 5, .* use stages 1 to 3"):
        check_reach([2, 4], 4, 4)


@pytest.mark.parametrize(("keep", "strides"), [(False, [2, 4, 8]), (True, [1, 1, 1])])
def test_extra_stages_have_stride_2_or_hold_it(keep: bool, strides: list[int]) -> None:
    segments = extra_segments(7, keep, 12)
    assert strides_after(segments) == strides
    assert [(one.name, one.level, one.channels) for one in segments] == [
        ("stage5", 6, 12), ("stage6", 7, 12), ("stage7", 8, 12)
    ]  # fmt: skip
    assert extra_segments(4, keep, 12) == []


def test_what_has_no_effect_does_not_part_two_trainings() -> None:
    def same(first: dict[str, Any], second: dict[str, Any], last_level: int = 5) -> bool:
        return resolve_ipg({**OPTIONS, **first}, last_level) == resolve_ipg({**OPTIONS, **second}, last_level)

    assert same({"positions": None}, {"positions": [4, 2, 3]})
    assert same({"positions": [3]}, {"positions": [3], "levels": "stages"})
    assert same({}, {"extra_channels": 64})
    none = {"positions": [], "stages": 6}
    assert same(none, {**none, "fusion": "product", "identity_start": False, "image_channels": 8}, 7)
    assert not same({}, {"fusion": "concat"})
    assert not same({}, {"identity_start": False})
    assert not same({"stages": 6}, {"stages": 6, "extra_channels": 64}, 7)
    assert not same({"stages": 6}, {"stages": 6, "levels": "stages"}, 7)


def test_a_pyramid_that_adds_nothing_is_none() -> None:
    assert resolve_ipg({**OPTIONS, "positions": []}, 5) is None
    resolved = resolve_ipg({**OPTIONS, "positions": [], "stages": 5}, 6)
    assert resolved is not None and resolved["positions"] == []


@pytest.mark.parametrize("key", ["image_channels", "extra_channels"])
def test_channels_that_a_bottleneck_cannot_have_are_refused(key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}: 30; a bottleneck's channels are a multiple of 4"):
        resolve_ipg({**OPTIONS, key: 30}, 5)
