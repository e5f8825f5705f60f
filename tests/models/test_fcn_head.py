"""The FCN head computes what MMSegmentation's definition says."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_src.models.decoders.fcn import FCNHead
from tests.models.miniatures import randomise


def conv_bn_relu(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    x = F.conv2d(x, state[f"{name}.0.weight"], padding=1)
    statistics = (state[f"{name}.1.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    return F.relu(F.batch_norm(x, *statistics, eps=1e-5))


@pytest.mark.parametrize("concat_input", [False, True])
@pytest.mark.parametrize("num_convs", [1, 2, 3])
@torch.no_grad()
def test_convolutions_concatenation_classifier(num_convs: int, concat_input: bool) -> None:
    torch.manual_seed(num_convs)
    head = FCNHead([10], 4, channels=6, num_convs=num_convs, concat_input=concat_input)
    randomise(head).eval()
    state = head.state_dict()
    features = [torch.randn(2, 10, 5, 7)]
    x = features[0]
    for index in range(num_convs):
        x = conv_bn_relu(x, state, f"convs.{index}")
    if concat_input:
        x = conv_bn_relu(torch.cat([features[0], x], dim=1), state, "conv_cat")
    expected = torch.einsum("nchw,kc->nkhw", x, state["classifier.weight"][:, :, 0, 0])
    expected += state["classifier.bias"].view(1, -1, 1, 1)
    torch.testing.assert_close(head(features), expected, rtol=1e-4, atol=1e-4)


def test_without_convolutions_it_is_a_linear_classifier_of_each_pixel() -> None:
    head = FCNHead([7], 5, num_convs=0, concat_input=False, dropout=0.0)
    assert sum(p.numel() for p in head.parameters()) == 7 * 5 + 5
    x = torch.randn(2, 7, 3, 4)
    expected = F.linear(x.permute(0, 2, 3, 1), head.classifier.weight.flatten(1), head.classifier.bias)
    torch.testing.assert_close(head([x]), expected.permute(0, 3, 1, 2))


def test_initial_values_follow_mmsegmentation() -> None:
    torch.manual_seed(0)
    head = FCNHead([64], 150, channels=128, num_convs=1, concat_input=False)
    assert head.classifier.bias.abs().max() == 0
    assert head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    # Kaiming normal over the fan out of 128 x 3 x 3 with ReLU's gain
    assert head.convs[0][0].weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.05)


def test_dropout_drops_whole_channels_in_training_only() -> None:
    torch.manual_seed(0)
    head = FCNHead([40], 40, num_convs=0, concat_input=False, dropout=0.5)
    with torch.no_grad():
        head.classifier.weight.copy_(torch.eye(40)[:, :, None, None])
    x = torch.ones(1, 40, 4, 4)
    dropped = head.train()([x]).flatten(2)
    assert set(dropped.mean(dim=2).flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(head.eval()([x]), x)


def test_its_concatenation_is_one_a_calibrator_can_find() -> None:
    head = FCNHead([8], 3, channels=4, num_convs=2, concat_input=True)
    assert head.concat.names == ("input", "convs")
    assert head.concat.channels == (8, 4)
    assert head.concat.subjects == (0, 1)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="2 convolutions need channels above 0"):
        FCNHead([8], 3, num_convs=2, channels=0)
    with pytest.raises(ValueError, match="concat_input needs num_convs above 0"):
        FCNHead([8], 3, num_convs=0, concat_input=True)
