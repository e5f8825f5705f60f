"""`export RUN`: files that other programs run, and that compute what the network does."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline_src import api
from pipeline_src.cli.main import main
from pipeline_src.errors import InputError
from pipeline_src.evaluation.load_trained import load_trained
from pipeline_src.exporting import export_run as exporting
from pipeline_src.exporting import programs
from pipeline_src.exporting.export_run import export_run
from pipeline_src.exporting.programs import FORMATS
from pipeline_src.exporting.sizes import attempts
from pipeline_src.files import digest_file
from pipeline_src.models.build_segmentor import build_segmentor
from tests.predicting.finished_run import DETECTOR, OVERLAY, FinishedRun

LINE = ["--scale", "smoke", "--configfile", OVERLAY]
PLAIN = {"backbone": "tiny", "decoder": {"kind": "fcn", "channels": 8}}


@pytest.fixture
def plain(tmp_path, monkeypatch):
    """A trained run of the simplest network."""
    monkeypatch.chdir(tmp_path)
    run = FinishedRun("segmentation", tmp_path, PLAIN)
    run.train()
    return run


def original(run):
    model = run.scoring.model
    record = run.graph.plan.of("train")[0].sidecar
    return load_trained(model, record, torch.device("cpu"), build_segmentor)


@torch.no_grad()
def test_a_torch_program_is_the_network_at_sizes_it_was_not_checked_at(segmentor, capsys):
    assert main(["export", segmentor.name, *LINE]) == 0
    file = segmentor.root / f"results/smoke/exports/{segmentor.name}.pt2"
    program, network = torch.export.load(file).module(), original(segmentor)
    for shape in [(1, 3, 97, 131), (5, 3, 128, 200)]:
        images = torch.randn(shape)
        torch.testing.assert_close(program(images)["logits"], network(images), rtol=1e-4, atol=1e-4)
    said = json.loads((file.parent / f"{file.name}.json").read_text())
    assert said["classes"] == ["ground", "water", "sky"] and said["sizes"]["sides"] == "any"
    assert said["input"]["mean"] == segmentor.scoring.model["backbone"]["mean"]
    assert said["sha256"] == digest_file(file) and said["checked"]["largest_difference"] <= 1e-4
    assert said["sizes"]["smallest_side"] <= 96
    assert "takes sides: any" in capsys.readouterr().out
    assert sorted(path.name for path in file.parent.iterdir()) == ["seed-0.pt2", "seed-0.pt2.json"]


@torch.no_grad()
def test_an_onnx_file_is_the_network_at_sizes_it_was_not_checked_at(plain):
    for package in FORMATS["onnx"].packages:
        pytest.importorskip(package)
    import onnxruntime

    assert main(["export", plain.name, *LINE, "--format", "onnx", "--out", "net/mine.onnx"]) == 0
    session = onnxruntime.InferenceSession("net/mine.onnx", providers=["CPUExecutionProvider"])
    network = original(plain)
    for shape in [(1, 3, 97, 131), (4, 3, 64, 200)]:
        images = torch.randn(shape)
        (found,) = session.run(["logits"], {"images": images.numpy()})
        np.testing.assert_allclose(found, network(images).numpy(), rtol=1e-4, atol=1e-4)
    said = json.loads((plain.root / "net/mine.onnx.json").read_text())
    assert said["sizes"]["sides"] == "any" and set(said["versions"]) == {"torch", *FORMATS["onnx"].packages}


class Patches(nn.Module):
    """A network that takes whole patches of 32 pixels only."""

    def __init__(self):
        super().__init__()
        self.project = nn.Conv2d(3 * 32 * 32, 3, 1)

    def forward(self, images):
        maps = self.project(nn.functional.pixel_unshuffle(images, 32))
        return nn.functional.interpolate(maps, scale_factor=32)


@torch.no_grad()
def test_a_network_that_cannot_do_all_sizes_says_which(plain, capsys):
    model = api.load(plain.name, scale="smoke", configfiles=[OVERLAY], device="cpu")
    model = replace(model, network=Patches())
    assert export_run(model, "torch", "x.pt2").sizes.sides == "multiples of 32"
    assert "sizes any: not with this network" in capsys.readouterr().err
    said = json.loads((plain.root / "x.pt2.json").read_text())
    assert said["sizes"] == {"most_images": 64, "sides": "multiples of 32", "smallest_side": 64}
    images = torch.randn(2, 3, 64, 480)
    torch.testing.assert_close(torch.export.load("x.pt2").module()(images)["logits"], model.network(images))


def test_a_file_that_computes_something_else_is_not_kept(plain, monkeypatch, tmp_path):
    model = api.load(plain.name, scale="smoke", configfiles=[OVERLAY], device="cpu")

    def wrong(path):
        run = FORMATS["torch"].open(path)
        return lambda images: run(images) + 1e-2

    monkeypatch.setitem(programs.FORMATS, "wrong", replace(FORMATS["torch"], open=wrong))
    monkeypatch.setattr(exporting, "attempts", lambda size: attempts(size)[2:])
    with pytest.raises(InputError, match=r"as wrong \(fixed: logits of images .* differ by .*; fixed, batch"):
        export_run(model, "wrong", tmp_path / "out/x.pt2")
    assert not list((tmp_path / "out").iterdir())


def test_one_size_is_exported_where_it_is_asked_for(plain):
    assert main(["export", plain.name, *LINE, "--size", "40", "72", "--out", "x.pt2"]) == 0
    said = json.loads((plain.root / "x.pt2.json").read_text())
    assert said["input"]["shape"] == ["batch", 3, 40, 72] and said["sizes"]["sides"] == "fixed"
    program = torch.export.load("x.pt2").module()
    assert program(torch.zeros(5, 3, 40, 72))["logits"].shape == (5, 3, 40, 72)
    with pytest.raises(InputError, match="--size 0 72: give a height and a width"):
        main(["export", plain.name, *LINE, "--size", "0", "72"])


def test_what_is_not_exported_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = FinishedRun("detection", tmp_path, {"backbone": "tiny", "detector": DETECTOR})
    with pytest.raises(InputError, match="is not trained at scale smoke"):
        main(["export", run.name, *LINE])
    run.train()
    with pytest.raises(InputError, match=re.escape(f"run {run.name}: detectors are not exported: how much")):
        main(["export", run.name, *LINE])
    with pytest.raises(InputError, match=r"a file of format torch ends in \.pt2"):
        main(["export", run.name, *LINE, "--out", "x.onnx"])
    monkeypatch.setattr(programs, "_installed", lambda package: package != "onnxscript")
    with pytest.raises(
        InputError, match=r"^--format onnx: needs onnxscript, not installed here; pip install"
    ):
        main(["export", run.name, *LINE, "--format", "onnx"])
