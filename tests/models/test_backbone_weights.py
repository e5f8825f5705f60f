"""Weights come from a safetensors file through timm's own loader, and a misfit is refused."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.mobilenetv2 import MobileNetV2Pyramid
from pipeline_src.models.backbones.resnet import ResNetPyramid
from tests.models.miniatures import MINIATURES, miniature


def timm_model(family: str, **options) -> torch.nn.Module:
    _, name, args = MINIATURES[family]
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
    return timm.create_model(name, **tuples, **options)


@pytest.mark.parametrize("head", ["with head", "without head"])
@pytest.mark.parametrize("family", MINIATURES)
def test_loaded_weights_equal_timms_own_loading(family: str, head: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    torch.manual_seed(11)
    source = timm_model(family, num_classes=1000 if head == "with head" else 0)
    save_file({key: value.contiguous() for key, value in source.state_dict().items()}, path)
    torch.manual_seed(12)
    backbone = miniature(family, out_levels=[3, 5], weights_path=path)
    torch.manual_seed(13)
    reference = timm_model(
        family,
        num_classes=0,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(path), "num_classes": 1000},
    ).state_dict()
    # `miniature` draws one-dimensional tensors anew after loading.
    for key, value in backbone.net.state_dict().items():
        if value.ndim > 1:
            assert torch.equal(value, reference[key]), key


def test_checkpoint_keys_of_the_original_swin_are_converted(tmp_path: Path) -> None:
    source = timm_model("swin")
    original = {}
    for key, value in source.state_dict().items():
        key = key.replace("head.fc.", "head.")
        for stage in (1, 2, 3):
            key = key.replace(f"layers.{stage}.downsample", f"layers.{stage - 1}.downsample")
        original[key] = value.contiguous()
    original["layers.0.blocks.1.attn_mask"] = torch.zeros(1)
    save_file(original, tmp_path / "swin.safetensors")
    backbone = miniature("swin", weights_path=tmp_path / "swin.safetensors")
    for stage in (1, 2, 3):
        mine = backbone.net.layers[stage].downsample.reduction.weight
        assert torch.equal(mine, source.layers[stage].downsample.reduction.weight)


def test_missing_final_norm_is_no_problem_where_it_is_not_used(tmp_path: Path) -> None:
    source = timm_model("twins", num_classes=0).state_dict()
    del source["norm.weight"], source["norm.bias"]
    save_file(source, tmp_path / "headless.safetensors")
    miniature("twins", weights_path=tmp_path / "headless.safetensors")


def test_weights_of_a_deeper_network_name_the_keys_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "deeper.safetensors"
    save_file(timm.create_model("resnet18", layers=(1, 1, 1, 2), channels=(8, 12, 16, 20)).state_dict(), path)
    with pytest.raises(InputError, match=r"unknown layer4\.1\.bn1\.bias, .* and 9 more"):
        miniature("resnet_basic", weights_path=path)


def test_weights_of_a_shallower_network_name_the_keys_that_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "shallower.safetensors"
    save_file(timm.create_model("resnet18", layers=(1, 1, 1, 1)).state_dict(), path)
    with pytest.raises(InputError, match=r"it lacks layer1\.1\.conv1\.weight, .* and \d+ more"):
        ResNetPyramid("resnet18", args={"layers": [2, 1, 1, 1]}, weights_path=path)


def test_weights_of_another_width_name_the_shapes(tmp_path: Path) -> None:
    path = tmp_path / "full.safetensors"
    save_file(timm.create_model("resnet50", layers=(1, 2, 1, 1)).state_dict(), path)
    with pytest.raises(InputError, match=r"size mismatch for layer1\.0\.conv1\.weight") as refusal:
        miniature("resnet", weights_path=path)
    assert "\n" not in str(refusal.value)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such weight file"):
        miniature("resnet_basic", weights_path=tmp_path / "absent.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    with pytest.raises(InputError, match=r"broken\.safetensors: not a readable safetensors file"):
        miniature("resnet_basic", weights_path=tmp_path / "broken.safetensors")
    with pytest.raises(InputError, match=r"read as \.safetensors only"):
        miniature("resnet_basic", weights_path=tmp_path / "weights.pth")


def test_real_mobilenet_weights_load_completely(real_data: Path) -> None:
    path = real_data / "weights" / "mobilenetv2_100_keras_in1k_int8deq_timm.safetensors"
    backbone = MobileNetV2Pyramid("mobilenetv2_100", args={"pad_type": "same"}, weights_path=path)
    reference = timm.create_model(
        "mobilenetv2_100",
        pretrained=True,
        features_only=True,
        pad_type="same",
        pretrained_cfg_overlay={"file": str(path)},
    )
    image = torch.rand(1, 3, 96, 128) * 2 - 1
    with torch.no_grad():
        for mine, theirs in zip(backbone.eval()(image), reference.eval()(image), strict=True):
            torch.testing.assert_close(mine, theirs)
