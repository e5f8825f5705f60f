"""The library against what it stands for: explicit divisions, the evaluation's files, torchvision's own."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.segmentation import deeplabv3_resnet50
from torchvision.ops import FeaturePyramidNetwork

from pipeline_src import api
from pipeline_src.errors import InputError
from pipeline_src.predicting.images import decode
from tests.models.miniatures import randomise
from tests.predicting.finished_run import MODELS, OVERLAY, FinishedRun

DECODER = {"kind": "fcn", "channels": 8}


class Fusing(nn.Module):
    """Three maps of one image, upsampled, scaled apart, concatenated and read by a 3x3 convolution."""

    GROUPS = (4, 6, 2)

    def __init__(self, bias=False):
        super().__init__()
        torch.manual_seed(0)
        self.branches = nn.ModuleList(nn.Conv2d(3, channels, 3) for channels in self.GROUPS)
        self.factors = (0.01, 1.0, 30.0)
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.fuse = nn.Conv2d(sum(self.GROUPS), 5, 3, padding=1, bias=bias)

    def maps(self, images):
        x = self.drop(self.norm(images))
        small = [nn.functional.interpolate(x, scale_factor=1 / 2**place) for place in range(3)]
        return [
            factor * nn.functional.interpolate(branch(one), size=(16, 16), mode="bilinear") + factor
            for factor, branch, one in zip(self.factors, self.branches, small, strict=True)
        ]

    def forward(self, images):
        return self.fuse(torch.cat(self.maps(images), dim=1))


def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(count, 3, 16, 16, generator=generator) for count in (2, 3)]


@torch.no_grad()
def maps_of_a_first_step(network):
    """All batches' maps with batch statistics, without dropout and without a trace, written out."""
    network.eval()
    found = []
    for images in batches():
        network.norm.train()
        found.append(network.maps(images))
    (
        network.norm.running_mean.zero_(),
        network.norm.running_var.fill_(1),
        network.norm.num_batches_tracked.zero_(),
    )
    return [[part[place] for part in found] for place in range(3)]


def test_measured_scales_are_those_of_all_values_of_all_batches():
    network = Fusing().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loader = [(images, "a mask") for images in batches()]
    measured = api.measure_scales(network, "fuse", Fusing.GROUPS, loader)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training and network.norm.training and not network.fuse._forward_pre_hooks
    for maps, (mean, std) in zip(maps_of_a_first_step(network), measured.scales, strict=True):
        values = torch.cat([one.flatten() for one in maps]).double()
        assert mean == pytest.approx(float(values.mean()), rel=1e-4)
        assert std == pytest.approx(float(values.std(correction=0)), rel=1e-4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("means", [False, True])
@torch.no_grad()
def test_folding_is_dividing_the_branches_each_of_which_then_has_unit_deviation(bias, means):
    network = Fusing(bias)
    weight = network.fuse.weight.clone()
    constant = network.fuse.bias.clone() if bias else torch.zeros(5)
    measured = api.measure_scales(network, "fuse", Fusing.GROUPS, batches())
    maps = maps_of_a_first_step(network)
    api.fold_scales(network, measured, means=means)
    shifts = [mean if means or bias else 0.0 for mean, _ in measured.scales]
    divided = [
        [(one - shift) / std for one in branch]
        for branch, shift, (_, std) in zip(maps, shifts, measured.scales, strict=True)
    ]
    for branch in divided:
        assert float(torch.cat(branch).double().std(correction=0)) == pytest.approx(1, rel=1e-5)
    for batch in range(2):
        joined = torch.cat([branch[batch] for branch in divided], dim=1)
        explicit = nn.functional.conv2d(joined, weight, constant, padding=1)
        folded = network.fuse(torch.cat([branch[batch] for branch in maps], dim=1))
        inside = slice(1, -1) if means or bias else slice(None)  # padding is 0 before the shift, too
        torch.testing.assert_close(
            folded[..., inside, inside], explicit[..., inside, inside], rtol=1e-4, atol=1e-4
        )


@torch.no_grad()
def test_a_torchvision_network_is_folded_as_if_its_branches_were_divided():
    torch.manual_seed(0)
    network = randomise(deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=3)).eval()
    images, groups, name = torch.randn(2, 3, 33, 33), [256] * 5, "classifier.0.project.0"
    measured = api.measure_scales(network, name, groups, [images], bn_fixed=True)
    layer = network.get_submodule(name)

    def divide(_, inputs):
        parts = inputs[0].split(groups, dim=1)
        parts = [part / std for part, (_, std) in zip(parts, measured.scales, strict=True)]
        assert [float(part.std(correction=0)) for part in parts] == pytest.approx([1] * 5, rel=1e-4)
        return torch.cat(parts, dim=1)

    handle = layer.register_forward_pre_hook(divide)
    explicit = network(images)["out"]
    handle.remove()
    plain = network(images)["out"]
    api.fold_scales(network, measured)
    torch.testing.assert_close(network(images)["out"], explicit, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain, explicit, atol=1e-2), "the scales have to matter"


def test_what_cannot_be_measured_is_refused_in_one_line():
    network = Fusing()
    with pytest.raises(InputError, match=r"'fusion' is no nn.Conv2d of this network; .* are fuse"):
        api.measure_scales(network, "fusion", Fusing.GROUPS, batches())
    with pytest.raises(InputError, match=r"groups \[4, 6\] add up to 10, but it reads 12 channels"):
        api.measure_scales(network, "fuse", [4, 6], batches())
    with pytest.raises(InputError, match="there is no batch"):
        api.measure_scales(network, "fuse", Fusing.GROUPS, [])
    with pytest.raises(InputError, match="never ran it"):
        api.measure_scales(network, "fuse", Fusing.GROUPS, batches(), call=lambda *_: None)
    network.factors = (0.0, 1.0, 1.0)
    with pytest.raises(InputError, match="branch 'coarse': mean 0 and std 0"):
        api.measure_scales(network, "fuse", Fusing.GROUPS, batches(), names=["coarse", "b", "c"])
    assert not network.fuse._forward_pre_hooks


def test_predict_gives_what_the_evaluation_finds_of_paths_arrays_and_pictures(run):
    model = api.load(run.name, scale="smoke", configfiles=[OVERLAY], device="cpu")
    assert (model.task, model.mean) == (run.task, run.scoring.model["backbone"]["mean"])
    assert model.classes[-1] == ("sky" if run.task == "segmentation" else "pen")
    assert not model.network.training
    file = run.data / "val/0.png"
    picture = Image.open(file)
    found = [*api.predict(model, [file, str(file), decode(file)]), api.predict(model, picture)]
    for one in found:
        if run.task == "segmentation":
            assert one.shape == (51, 70) and np.array_equal(one, found[0])
            continue
        assert len(one) == 9 and np.array_equal(one.boxes, found[0].boxes)
        assert one.boxes.shape == (9, 4) and (one.boxes[:, 2:] >= one.boxes[:, :2]).all()
        assert (np.diff(one.scores) <= 0).all() and set(one.labels.tolist()) <= {1, 2}
        if run.task == "instances":
            assert one.masks.shape == (9, 51, 70) and one.masks.any()
        else:
            assert one.masks is None
    with pytest.raises(InputError, match=r"image 0: is an array \(4, 4, 3\) of float64"):
        api.predict(model, [np.zeros((4, 4, 3))])
    with pytest.raises(InputError, match="cannot be decoded as an image"):
        api.predict(model, run.root / OVERLAY)


def test_load_names_the_command_that_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = FinishedRun("segmentation", tmp_path)
    with pytest.raises(
        InputError, match=r"first: snakemake .*train\.json --configfile my\.yaml --config scale=smoke"
    ):
        api.load(run.name, scale="smoke", configfiles=[OVERLAY])


def test_build_makes_networks_of_sections():
    tiny = {
        "timm": "resnet50.tv_in1k", "weights": "none",
        "args": {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]},
    }  # fmt: skip
    network = api.build({"backbone": tiny, "decoder": DECODER}, 4).eval()
    assert network(torch.randn(1, 3, 40, 52)).shape == (1, 4, 40, 52)
    detector = api.build({**MODELS["instances"], "backbone": tiny}, 3).eval()
    assert set(detector([torch.randn(3, 64, 64)])[0]) == {"boxes", "labels", "scores", "masks"}
    with pytest.raises(InputError, match=r"^model\.decoder\.chanels: "):
        api.build({"backbone": tiny, "decoder": {"kind": "fcn", "chanels": 8}}, 4)
    with pytest.raises(InputError, match=r"^model\.backbone\.tim: "):
        api.build({"backbone": {**tiny, "tim": "x"}, "decoder": DECODER}, 4)
    with pytest.raises(InputError, match=r"backbone.*resnet18.*no weight tag"):
        api.build({"backbone": "resnet18", "decoder": DECODER}, 4)
    with pytest.raises(InputError, match=r"^model\.backbone: is missing"):
        api.build({"decoder": DECODER}, 4)


@torch.no_grad()
def test_deepfuse_in_an_fpn_begins_as_that_fpn_and_does_not_stay_it():
    torch.manual_seed(0)
    fpn = FeaturePyramidNetwork([4, 6, 8], 8).eval()
    maps = {str(place): torch.randn(2, 4 + 2 * place, 16 >> place, 16 >> place) for place in range(3)}
    plain = fpn(maps)
    merging = api.with_deepfuse(fpn, combine="concat", blocks=2)
    assert list(merging(maps)) == list(plain) and not merging.training
    for name, one in merging(maps).items():
        torch.testing.assert_close(one, plain[name])
    randomise(merging.merges)
    assert not torch.allclose(merging(maps)["0"], plain["0"], atol=1e-3)
    with pytest.raises(InputError, match="merges nothing"):
        api.with_deepfuse(FeaturePyramidNetwork([4], 8))


@torch.no_grad()
def test_a_backbone_for_torchvision_is_torchvisions_own():
    torch.manual_seed(0)
    theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2)
    own = api.TorchvisionBackbone(api.timm_backbone("resnet50"), 256)
    source = theirs.backbone.body.state_dict()
    own.pyramid.net.load_state_dict(source, strict=False)
    own.fpn.load_state_dict(theirs.backbone.fpn.state_dict())
    images = torch.randn(1, 3, 64, 64)
    for (name, one), (other, there) in zip(
        own.eval()(images).items(), theirs.backbone.eval()(images).items(), strict=True
    ):
        assert name == other
        torch.testing.assert_close(one, there, rtol=1e-4, atol=1e-4)
