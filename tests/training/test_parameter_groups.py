"""Learning rates and weight decays by parameter, on the real networks (built without memory)."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch.optim import lr_scheduler

from pipeline_src.config.sections import section_of
from pipeline_src.errors import InputError
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.detectors.retinanet import RetinaNet
from pipeline_src.models.fusion.dfp import DeepFeaturePyramid
from pipeline_src.options import from_json
from pipeline_src.training.engine import Trainer
from pipeline_src.training.make_optimizer import build_optimizer
from pipeline_src.training.optimizer_options import AdamW, Sgd
from pipeline_src.training.parameter_groups import rule_of
from tests.models.miniatures import MINIATURES, miniature
from tests.training.toy_training import ADAMW, SGD, ToyModel, read_recipe

FCN = {"kind": "fcn", "channels": 12, "num_convs": 1, "concat_input": False, "dropout": 0.1}
DFP = {
    "kind": "dfp",
    "depth": 2,
    "scales": [1.0, 0.75, 0.5],
    "split": "before_downsampling",
    "encoder": "per_branch",
}
CONVNEXT = {"no_decay_1d": True, "layer_decay": {"rate": 0.9, "layers": 6}}


def section(family, name, pyramid=None, args=None):
    return {
        "num_classes": 5,
        "backbone": {
            "timm": name,
            "family": family,
            "weights": "none",
            "args": args or {},
            "output_stride": 32,
            "out_norm": family in ("swin", "twins", "convnext"),
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "pyramid": pyramid,
        "decoder": FCN,
    }


def on_meta(family, name, pyramid=None):
    with torch.device("meta"):
        return build_segmentor(section(family, name, pyramid))


def adamw(**changes):
    given = {"kind": "adamw", "lr": 1e-4, "weight_decay": 0.05, **changes}
    return section_of(AdamW).model_validate(given).given()


def settings(model, optimizer):
    """(base_lr, weight_decay) of every parameter by name; each is in exactly one group."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert names[id(parameter)] not in found
            found[names[id(parameter)]] = (group["base_lr"], group["weight_decay"])
    assert found.keys() == set(names.values())
    return found


@pytest.mark.parametrize(
    ("size", "layers", "expected"),
    [
        ("tiny", 6, (0.478, 0.531, 0.590, 0.656, 0.729)),
        ("small", 12, (0.254, 0.282, 0.314, 0.349, 0.387)),
        ("base", 12, (0.254, 0.282, 0.314, 0.349, 0.387)),
    ],
)
def test_convnext_learns_slower_the_earlier_the_stage(size, layers, expected):
    model = on_meta("convnext", f"convnext_{size}.fb_in1k")
    section = adamw(no_decay_1d=True, layer_decay={"rate": 0.9, "layers": layers})
    found = settings(model, build_optimizer(model, section))
    shapes = {name: parameter.ndim for name, parameter in model.named_parameters()}
    seen = set()
    for name, (lr, decay) in found.items():
        parts = name.split(".")
        if parts[:2] == ["pyramid", "net"]:
            early = parts[2] == "stem" or parts[4] == "downsample"
            depth = 0 if early else int(parts[3]) + 1
            assert lr / 1e-4 == pytest.approx(expected[depth], abs=5e-4), name
            seen.add((depth, parts[2], parts[4] if len(parts) > 4 and parts[2] == "stages" else ""))
        else:
            assert parts[0] == "decoder" or parts[1] == "out_norms"
            assert lr == 1e-4
        assert decay == (0.0 if shapes[name] == 1 or name.endswith("bias") else 0.05), name
    assert seen == {(0, "stem", ""), (0, "stages", "downsample")} | {
        (depth, "stages", "blocks") for depth in (1, 2, 3, 4)
    }
    assert {name.split(".")[1] for name in found if name.startswith("pyramid")} == {"net", "out_norms"}
    gammas = [decay for name, (_, decay) in found.items() if name.endswith("gamma")]
    assert len(gammas) == (18 if size == "tiny" else 36) and not any(gammas)


def test_a_wrapped_convnext_learns_as_one_that_is_not():
    plain, wrapped = (on_meta("convnext", "convnext_tiny.fb_in1k", pyramid) for pyramid in (None, DFP))
    by_plain = settings(plain, build_optimizer(plain, adamw(**CONVNEXT)))
    by_wrapped = settings(wrapped, build_optimizer(wrapped, adamw(**CONVNEXT)))
    for name, expected in by_plain.items():
        if name.startswith("pyramid.net."):
            assert by_wrapped[name.replace("pyramid.", "pyramid.backbone.", 1)] == expected
    own = {name for name in by_wrapped if not name.startswith("pyramid.backbone.")}
    assert len(own) > 4 and {by_wrapped[name][0] for name in own} == {1e-4}


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("swin", "swin_tiny_patch4_window7_224.ms_in1k"),
        ("twins", "twins_svt_small.in1k"),
        ("resnet", "resnet50.tv_in1k"),
        ("mobilenetv2", "mobilenetv2_050"),
    ],
)
def test_layer_decay_of_another_family_is_refused(family, name):
    with pytest.raises(InputError, match=r"recipe\.optimizer\.layer_decay: .* how deep") as caught:
        build_optimizer(on_meta(family, name), adamw(layer_decay={"rate": 0.9, "layers": 6}))
    assert "\n" not in str(caught.value)


def decayed(family, name, texts):
    model = on_meta(family, name)
    found = settings(model, build_optimizer(model, adamw(no_decay=texts)))
    assert {lr for lr, _ in found.values()} == {1e-4}
    assert {decay for _, decay in found.values()} == {0.0, 0.05}
    return {name: bool(decay) for name, (_, decay) in found.items()}


def test_swin_spares_norms_and_position_tables_but_not_biases():
    found = decayed(
        "swin",
        "swin_tiny_patch4_window7_224.ms_in1k",
        ["absolute_pos_embed", "relative_position_bias_table", "norm"],
    )
    # 12 blocks with 2 norms and 1 table, the patch embedding, 3 mergings, the output norm of level 5
    assert sum(not value for value in found.values()) == 12 * (2 * 2 + 1) + 2 + 3 * 2 + 2
    for name in (
        "pyramid.net.patch_embed.norm.weight",
        "pyramid.net.layers.2.downsample.norm.bias",
        "pyramid.net.layers.2.blocks.5.attn.relative_position_bias_table",
        "pyramid.net.layers.0.blocks.1.norm2.weight",
        "pyramid.out_norms.5.bias",
    ):
        assert not found[name]
    for name in (
        "pyramid.net.patch_embed.proj.bias",
        "pyramid.net.layers.1.blocks.0.attn.qkv.bias",
        "pyramid.net.layers.1.blocks.0.mlp.fc1.bias",
        "pyramid.net.layers.1.downsample.reduction.weight",
    ):
        assert found[name]
    head = {name: value for name, value in found.items() if name.startswith("decoder.")}
    assert all(head.values()) and len(head) == 5  # convolution, BN weight and bias, classifier


def test_twins_spares_norms_and_position_blocks():
    found = decayed("twins", "twins_svt_small.in1k", ["pos_block", "norm"])
    for name, value in found.items():
        spared = ".pos_block." in name or ".norm" in name or "out_norms" in name
        assert value == (not spared), name
    assert not found["pyramid.net.pos_block.0.proj.0.weight"]
    assert not found["pyramid.net.blocks.0.1.attn.norm.weight"] and not found["pyramid.out_norms.5.weight"]
    assert found["pyramid.net.blocks.0.0.attn.qkv.bias"] and found["decoder.classifier.bias"]
    assert all(value for name, value in found.items() if name.startswith("decoder."))


@pytest.mark.parametrize("section", [from_json(Sgd, SGD), from_json(AdamW, ADAMW), adamw()])
def test_with_the_defaults_all_parameters_are_one_group(section):
    optimizer = build_optimizer(ToyModel(), section)
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == section.weight_decay and group["base_lr"] == section.lr


def test_updates_are_those_of_torch_with_one_group_for_each_parameter():
    _, name, args = MINIATURES["convnext"]
    torch.manual_seed(0)
    ours = build_segmentor(section("convnext", name, args=args)).double().train()
    theirs = copy.deepcopy(ours)
    depths = {"stem": 0, "downsample": 0, "0": 1, "1": 2, "2": 3, "3": 4}
    groups = []
    for key, parameter in theirs.named_parameters():
        parts, lr = key.split("."), 0.01
        if parts[1] == "net":
            part = parts[2] if parts[2] == "stem" else parts[4] if parts[4] == "downsample" else parts[3]
            lr *= 0.9 ** (7 - depths[part])
        decay = 0.0 if parameter.dim() == 1 else 0.05
        groups.append({"params": [parameter], "lr": lr, "weight_decay": decay})
    torches = torch.optim.AdamW(groups, betas=(0.9, 0.999))
    optimizer = build_optimizer(ours, adamw(lr=0.01, **CONVNEXT))
    for step in range(3):
        images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(step)).double()
        for model, stepper in ((ours, optimizer), (theirs, torches)):
            torch.manual_seed(step)
            model(images).square().mean().backward()
            stepper.step()
            stepper.zero_grad()
    for (key, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12, msg=key)


def test_the_schedule_scales_every_group():
    model = on_meta("convnext", "convnext_tiny.fb_in1k")
    optimizer = build_optimizer(model, adamw(**CONVNEXT))
    bases = [group["base_lr"] for group in optimizer.param_groups]
    assert len(set(bases)) == 6
    tensors = [{"params": [torch.zeros(1, requires_grad=True)], "lr": base} for base in bases]
    theirs = torch.optim.SGD(tensors)
    schedule = lr_scheduler.PolynomialLR(theirs, total_iters=20, power=1.0)
    trainer = SimpleNamespace(
        step=0,
        update=SimpleNamespace(optimizer=optimizer),
        timetable=SimpleNamespace(steps_per_epoch=5, total_steps=20),
        recipe=read_recipe(optimizer={"kind": "adamw", "lr": 1e-4}, schedule={"kind": "poly", "power": 1.0}),
    )
    for step in range(20):
        trainer.step = step
        logged = Trainer.set_learning_rates(trainer)
        expected = [group["lr"] for group in theirs.param_groups]
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(expected, rel=1e-9)
        assert logged == pytest.approx(1e-4 * (1 - step / 20), rel=1e-9)
        theirs.step()
        schedule.step()


@pytest.mark.parametrize(
    "changes",
    [
        {"layer_decay": {"rate": 0.0, "layers": 6}},
        {"layer_decay": {"rate": 1.1, "layers": 6}},
        {"layer_decay": {"rate": 0.9, "layers": 2}},
        {"no_decay": [""]},
    ],
)
def test_senseless_values_are_refused(changes):
    with pytest.raises(ValueError, match="1 validation error"):
        adamw(**changes)


def test_a_backbone_is_known_inside_a_pyramid_and_a_detector():
    convnext = miniature("convnext")
    pyramid = DeepFeaturePyramid(convnext, depth=1)
    detector = RetinaNet(pyramid, 3, levels=[3, 4, 5], fpn_channels=8)
    rule = rule_of(adamw(layer_decay={"rate": 0.9, "layers": 6}), detector)
    rates = {name: rule(name, parameter)[0] for name, parameter in detector.named_parameters()}
    prefix = "backbone.pyramid.backbone"
    assert rates[f"{prefix}.net.stem.0.weight"] == pytest.approx(0.9**7)
    assert rates[f"{prefix}.net.stages.2.blocks.1.norm.weight"] == pytest.approx(0.9**4)
    assert {rate for name, rate in rates.items() if f"{prefix}.net." not in name} == {1.0}


def test_a_text_without_weight_decay_that_no_name_has_is_said(caplog):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    build_optimizer(model, adamw(no_decay=["0.bias", "norn"]))
    assert [record.getMessage() for record in caplog.records] == [
        "recipe.optimizer.no_decay: 'norn' is part of no parameter's name here"
    ]
