"""The auxiliary head: where it runs, what it reads, and what it leaves as it was."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_src.config.resolve import model_components
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.segmentor import SegmentationModel
from pipeline_src.training.losses import SegmentationLoss
from tests.models.heads import SECTIONS, levels_of
from tests.models.miniatures import randomise
from tests.models.test_build_model import DFP, resolved

AUXILIARY = {"kind": "fcn", "level": 4, "num_convs": 1, "channels": 6, "concat_input": False, "dropout": 0.1}
MINIATURE_CHANNELS = {2: 32, 3: 48, 4: 64, 5: 80}
"""Output channels of the ResNet miniature."""


def section(
    name: str = "uper", auxiliary: dict[str, Any] | None = AUXILIARY, pyramid: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {**resolved(pyramid=pyramid, decoder=SECTIONS[name]), "auxiliary": auxiliary}


def read_by(model: SegmentationModel, images: Tensor) -> dict[str, list[Tensor]]:
    """The maps that each head of `model` gets."""
    seen: dict[str, list[Tensor]] = {}
    for name in ("decoder", "auxiliary"):
        head = getattr(model, name)
        head.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: list(args[0])}))
    model(images)
    return seen


@pytest.mark.parametrize("name", ["classifier", "psp", "aspp", "sep_aspp", "uper"])
def test_training_gives_a_pair_and_evaluation_the_logits_alone(name: str) -> None:
    model = build_segmentor(section(name))
    images = torch.randn(2, 3, 67, 90)
    output = model.train()(images)
    assert isinstance(output, tuple)
    assert [logits.shape for logits in output] == [(2, 21, 67, 90)] * 2
    assert isinstance(model.eval()(images), Tensor)
    assert "auxiliary" not in read_by(model, images)


@pytest.mark.parametrize("name", ["classifier_of_level_3", "fcn", "sep_aspp", "uper"])
@pytest.mark.parametrize("level", [2, 3, 4, 5])
@torch.no_grad()
def test_every_head_gets_the_maps_of_its_levels(name: str, level: int) -> None:
    model = build_segmentor(section(name, {**AUXILIARY, "level": level})).train()
    seen = read_by(model, torch.randn(2, 3, 64, 96))
    levels = levels_of(SECTIONS[name])
    assert model.pyramid.levels == sorted({*levels, level})
    assert [x.shape[1] for x in seen["decoder"]] == [MINIATURE_CHANNELS[one] for one in levels]
    assert [x.shape[1] for x in seen["auxiliary"]] == [MINIATURE_CHANNELS[level]]


@pytest.mark.parametrize("align_corners", [False, True])
@torch.no_grad()
def test_each_heads_logits_are_upsampled_with_its_own_corners(align_corners: bool) -> None:
    changed = section("uper", {**AUXILIARY, "dropout": 0.0, "align_corners": not align_corners})
    changed["decoder"] = {**changed["decoder"], "dropout": 0.0, "align_corners": align_corners}
    model = build_segmentor(changed).train()
    images = torch.randn(2, 3, 70, 99)
    logits, auxiliary = model(images)
    features = dict(zip(model.pyramid.levels, model.pyramid(images), strict=True))
    low, inner = model.decoder(list(features.values())), model.auxiliary([features[4]])
    size = {"size": (70, 99), "mode": "bilinear"}
    torch.testing.assert_close(logits, F.interpolate(low, align_corners=align_corners, **size))
    torch.testing.assert_close(auxiliary, F.interpolate(inner, align_corners=not align_corners, **size))


def test_its_loss_is_added_with_its_weight_and_its_gradient_reaches_level_4_only() -> None:
    # random norms: timm starts the last of each residual branch at 0, which stops the gradient
    model = randomise(build_segmentor(section())).train()
    images, masks = torch.randn(2, 3, 64, 64), torch.randint(21, (2, 64, 64))
    logits, auxiliary = output = model(images)
    parts = [F.cross_entropy(one, masks) for one in (logits, auxiliary)]
    for weight in (0.0, 0.4, 2.0):
        loss = SegmentationLoss("labelled_pixels", 255, weight)
        torch.testing.assert_close(loss(output, masks, loss.pixels(masks)), parts[0] + weight * parts[1])
    parts[1].backward()
    assert all(parameter.grad is not None for parameter in model.auxiliary.parameters())
    assert all(parameter.grad is None for parameter in model.decoder.parameters())
    net = model.pyramid.net
    assert net.layer3[0].conv1.weight.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in net.layer4.parameters())


@pytest.mark.parametrize("name", ["fcn", "uper"])
def test_the_rest_starts_from_the_same_weights_with_and_without_it(name: str) -> None:
    states = []
    for auxiliary in (None, AUXILIARY):
        torch.manual_seed(3)
        states.append(build_segmentor(section(name, auxiliary)).state_dict())
    assert states[0].keys() == {key for key in states[1] if not key.startswith("auxiliary.")}
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_sections_of_older_jobs_have_no_such_key() -> None:
    older = resolved()
    assert "auxiliary" not in older
    assert build_segmentor(older).auxiliary is None
    assert model_components(older) == model_components({**older, "auxiliary": None})


def test_its_code_belongs_to_the_model() -> None:
    assert model_components(section("uper")) == ["backbone.resnet", "decoder.fcn", "decoder.uper"]
    assert model_components(section("fcn")) == ["backbone.resnet", "decoder.fcn"]


def test_the_concatenations_of_a_pyramid_know_what_both_heads_read() -> None:
    model = build_segmentor(section("uper", {**AUXILIARY, "concat_input": True}, pyramid=DFP))
    fusions, decoder, auxiliary = model.pyramid.fusions, model.decoder, model.auxiliary
    assert list(fusions) == ["4", "5"]
    assert fusions["5"].consumers == decoder.input_convolutions(5)
    assert len(fusions["5"].consumers) == 5
    assert fusions["4"].consumers == [
        (decoder.laterals[2].convolution, 0),
        (auxiliary.convs[0].convolution, 0),
        (auxiliary.conv_cat.convolution, 0),
    ]
    summed = build_segmentor(section("uper", pyramid={**DFP, "fusion": "sum"}))
    assert all(fusion.consumers == [] for fusion in summed.pyramid.fusions.values())


@pytest.fixture
def one_process_group():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("name", ["psp", "sep_aspp", "uper"])
def test_data_parallel_training_finds_every_parameter_in_use(name: str, one_process_group: None) -> None:
    model = build_segmentor(section(name, pyramid=DFP)).train()
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    # An unused parameter is reported when the second step begins.
    for _ in range(2):
        logits, auxiliary = parallel(torch.randn(2, 3, 64, 64))
        (logits.square().mean() + auxiliary.square().mean()).backward()
