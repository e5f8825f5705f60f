"""IPG-Net from `params.yaml` alone: defaults, what is refused, what a job gets, and that it trains."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Experiments
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.resolve import concatenations, model_components
from pipeline_src.errors import InputError
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.fusion.scale_equalizer import named_concatenations
from pipeline_src.training.preflight import check_crop
from tests.models.test_ipg_fusion import zero_gradients
from tests.training.toy_training import read_recipe

IPG = {"kind": "ipg"}
UPER = {"kind": "uper", "channels": 8}
DECODERS: dict[str, dict[str, Any]] = {
    "fcn": {"kind": "fcn", "channels": 8},
    "psp": {"kind": "psp", "channels": 8},
    "aspp": {"kind": "aspp", "channels": 8, "dilations": [1, 2]},
    "sep_aspp": {"kind": "sep_aspp", "channels": 8, "c1_channels": 4, "dilations": [1, 2]},
    "uper": UPER,
}
SMALL = {
    "timm": "resnet50.tv_in1k",
    "weights": "none",
    "args": {"layers": [1, 1, 1, 1], "channels": [8, 12, 16, 20], "zero_init_last": False},
}


def experiments(model: dict[str, Any], **study: Any) -> Experiments:
    one = {
        "title": "one",
        "dataset": "voc2012",
        "recipe": "dfp",
        "model": {"backbone": "small", **model},
        **study,
    }
    tree = {"backbones": {"small": SMALL}, "studies": {"one": one}, "select": ["one"], "seeds": 1}
    return expand(load_params(overlays=[Layer("my.yaml", tree)], scale="paper"))


def resolved(pyramid: dict[str, Any] | None, decoder: dict[str, Any] = UPER, **model: Any) -> dict[str, Any]:
    """The model of a study's only run."""
    (run,) = experiments({"pyramid": pyramid, "decoder": decoder, **model}).runs.values()
    return run.model


def test_the_defaults_are_the_papers_sum_at_stages_2_to_4() -> None:
    model = resolved(IPG)
    assert model["pyramid"] == {
        "kind": "ipg", "fusion": "sum", "positions": [2, 3, 4], "levels": 4, "identity_start": True,
        "stages": 4, "keep": False, "image_channels": None, "stem_channels": 64, "extra_channels": None,
    }  # fmt: skip
    assert "pyramid.ipg" in model_components(model) and "pyramid.dfp" not in model_components(model)


@pytest.mark.parametrize(
    ("pyramid", "decoder", "expected"),
    [
        ({"kind": "pyr"}, UPER, "pyramid.kind: 'pyr' is not allowed; use dfp or ipg"),
        ({"fusion": "sum"}, UPER, "pyramid.kind: is missing; use dfp or ipg"),
        (
            {**IPG, "fusion": "mean"},
            UPER,
            "pyramid.fusion: 'mean' is not allowed; use sum, product or concat",
        ),
        ({**IPG, "depth": 3}, UPER, "pyramid.depth: unknown key; allowed here: kind, fusion, positions"),
        (
            {**IPG, "positions": [0]},
            UPER,
            "pyramid.positions[0]: 0 is not allowed; use an integer from 1 to 7",
        ),
        ({**IPG, "positions": 3}, UPER, "pyramid.positions: 3 is not allowed; use a list or null"),
        ({**IPG, "positions": [3, 3]}, UPER, "pyramid.positions: stage 3 stands twice"),
        ({**IPG, "positions": [5]}, UPER, "pyramid.positions: 5 is no stage; the network has 1 to 4"),
        ({**IPG, "levels": 5}, UPER, "pyramid.levels: 5 is not allowed; use 4 or stages"),
        ({**IPG, "stages": 8}, UPER, "pyramid.stages: 8 is not allowed; use an integer from 4 to 7"),
        (
            {**IPG, "stages": 6},
            UPER,
            "pyramid.stages: 6 end with level 7, and nothing reads a level above 5; use 4",
        ),
        (
            {**IPG, "keep": True},
            UPER,
            "pyramid.keep: true holds the stride of stages 5 to 7, and stages is 4",
        ),
        (
            {**IPG, "extra_channels": 30},
            UPER,
            "pyramid.extra_channels: 30; a bottleneck's channels are a multiple",
        ),
        (
            {**IPG, "stages": 5, "positions": [5]},
            {"kind": "fcn", "level": 6},
            "pyramid.positions: stage 5 has no image, since the image pyramid has 4 levels",
        ),
        (
            IPG,
            {"kind": "fcn", "level": 4},
            "pyramid.positions: stage 4 ends level 5, and nothing reads a level above",
        ),
        (IPG, {"kind": "fcn", "level": 6}, "decoder.level: 6 is not there; this network's levels are 2 to 5"),
        (
            {"kind": "dfp", "depth": 2},
            {"kind": "fcn", "level": 6},
            "decoder.level: 6 is not there; this network's levels are 2 to 5",
        ),
    ],
)
def test_wrong_sections_are_refused_by_their_key(
    pyramid: dict[str, Any], decoder: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        resolved(pyramid, decoder)
    assert f"my.yaml: studies.one.model.{expected}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_auxiliary_head_on_a_level_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.auxiliary\.level: 7 is not there; .* levels are 2 to 5"):
        resolved(None, auxiliary={"kind": "fcn", "level": 7})


def test_an_axis_that_is_wrong_is_named() -> None:
    with pytest.raises(
        InputError, match=r"studies\.one\.vary\.model\.pyramid\.positions: stage 4 stands twice"
    ):
        experiments({"pyramid": IPG, "decoder": UPER}, vary={"model.pyramid.positions": [[3], [4, 4]]})


def test_rows_that_share_a_training_share_a_run() -> None:
    positions = {"model.pyramid.positions": [[], [1], [3], [2, 3, 4], None]}
    found = experiments({"pyramid": IPG, "decoder": UPER}, vary=positions)
    assert len(found.rows["one"]) == 5 and len(found.runs) == 4
    plain = [run.model for run in found.runs.values() if run.model["pyramid"] is None]
    assert plain == [resolved(None)]
    levels = experiments(
        {"pyramid": {**IPG, "positions": [3]}, "decoder": UPER}, vary={"model.pyramid.levels": [4, "stages"]}
    )
    assert len(levels.runs) == 1


def step(model: torch.nn.Module, crop: tuple[int, int] = (97, 74)) -> float:
    """One training step; the loss before it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, *crop, generator=generator)
    labels = torch.randint(21, (2, *crop), generator=generator)
    output = model.train()(images)
    outputs = output if isinstance(output, tuple) else (output,)
    loss = torch.stack([F.cross_entropy(logits, labels) for logits in outputs]).sum()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("fusion", ["sum", "product", "concat"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_trains_on_it(decoder: str, fusion: str) -> None:
    section = resolved({**IPG, "fusion": fusion, "stem_channels": 8}, {**DECODERS[decoder], "dropout": 0.0})
    torch.manual_seed(0)
    model = build_segmentor(section)
    plain = build_segmentor({**section, "pyramid": None})
    state = {
        name.replace("pyramid.backbone.", "pyramid."): value for name, value in model.state_dict().items()
    }
    left = plain.load_state_dict(state, strict=False)
    assert left.missing_keys == []
    assert all(
        key.startswith(("pyramid.transformations.", "pyramid.fusions.")) for key in left.unexpected_keys
    )
    images = torch.randn(2, 3, 65, 90)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), plain.eval()(images))
    # and they part in training
    assert step(model) == step(plain)
    with torch.no_grad():
        assert not torch.equal(model.eval()(images), plain.eval()(images))
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("stages", [5, 6, 7])
def test_a_head_reads_an_extra_stage(stages: int, keep: bool) -> None:
    pyramid = {**IPG, "stages": stages, "keep": keep, "levels": "stages", "stem_channels": 8}
    decoder = {"kind": "fcn", "level": stages + 1, "channels": 8}
    auxiliary = {"kind": "fcn", "level": 4, "channels": 8}
    section = resolved({**pyramid, "identity_start": False}, decoder, auxiliary=auxiliary)
    assert section["pyramid"]["positions"] == list(range(2, stages + 1))
    model = build_segmentor(section)
    assert model.pyramid.strides[-1] == (32 if keep else 2 ** (stages + 1))
    step(model, (300, 270))
    assert zero_gradients(model) == set()
    with torch.no_grad():
        assert model.eval()(torch.randn(1, 3, 65, 91)).shape == (1, 21, 65, 91)


def test_a_crop_that_an_extra_stage_shrinks_to_a_pixel_is_refused() -> None:
    decoder = {"kind": "fcn", "level": 8, "channels": 8}
    recipe = read_recipe(batch=2, accumulate=2)
    for keep in (False, True):
        model = resolved({**IPG, "stages": 7, "keep": keep}, decoder)
        if keep:
            check_crop(recipe, [256, 256], model, 8)
        else:
            with pytest.raises(InputError, match="crop: 256x256 at stride 256 leaves one value per channel"):
                check_crop(recipe, [256, 256], model, 8)


@pytest.mark.parametrize("identity_start", [True, False])
@pytest.mark.parametrize("positions", [[3], [1, 2, 4], []])
def test_the_planner_knows_the_concatenations(positions: list[int], identity_start: bool) -> None:
    pyramid = {**IPG, "fusion": "concat", "positions": positions, "identity_start": identity_start}
    for decoder in DECODERS.values():
        section = resolved(pyramid, decoder)
        found = concatenations(section)
        assert {one.name for one in found} == set(named_concatenations(build_segmentor(section)))
        inner = [one for one in found if one.name.startswith("pyramid")]
        assert [one.default for one in inner] == [not identity_start] * len(positions)


def test_equalizers_of_stages_are_calibrated_one_after_the_other() -> None:
    pyramid = {**IPG, "fusion": "concat", "identity_start": False}
    section = resolved(pyramid, equalizer={"form": "folded"})
    stages = [[f"pyramid.fusions.stage{stage}.concat"] for stage in (2, 3, 4)]
    assert section["equalizer"]["concatenations"] == [*stages, ["decoder.concat"]]
    # an identity is not equalised unless somebody says so
    section = resolved({**pyramid, "identity_start": True}, equalizer={"form": "folded"})
    assert section["equalizer"]["concatenations"] == [["decoder.concat"]]
    chosen = {"form": "module", "concatenations": ["pyramid.fusions.stage3.concat"]}
    assert resolved(pyramid, equalizer=chosen)["equalizer"]["concatenations"] == [stages[1]]
