"""Scales at the start of a run: the step from job to file, and Proposition 3.1 on a network."""

import copy
import json
from pathlib import Path

import pytest
import torch

from pipeline_src.calibration.probe import probe_network
from pipeline_src.errors import InputError
from pipeline_src.models.fusion.scale_equalizer import apply_scales, named_concatenations
from pipeline_src.training.losses import SegmentationLoss
from tests.calibration.networks import ALL_OF, DFP, batches, build, section
from tests.calibration.small_run import BATCHES, write_job
from tests.jobs import run_job
from tests.training.real_training import write_data


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def calibrated(folder: Path, manifest: Path, model: dict) -> None:
    run_job(
        write_job(folder, "calibrate", manifest, model), "--device", "cpu", "--work", str(folder / "work")
    )


def probed(folder: Path, manifest: Path, model: dict, **changes) -> dict:
    run_job(write_job(folder, "probe", manifest, model, **changes), "--device", "cpu")
    return json.loads((folder / "probe.json").read_text())


@pytest.mark.parametrize("form", ["folded", "module"])
def test_a_branch_is_equalised_on_the_data_that_it_was_calibrated_on(tmp_path, manifest, form):
    model = section("uper", form)
    calibrated(tmp_path, manifest, model)
    found = probed(tmp_path, manifest, model)
    assert (found["batches"], found["batch"]) == (BATCHES, 2)
    assert list(found["concatenations"]) == ["decoder.ppm.concat", "decoder.concat"]
    statistics = json.loads((tmp_path / "statistics.json").read_text())["concatenations"]
    for name, branches in found["concatenations"].items():
        assert [one["branch"] for one in branches] == [one["branch"] for one in statistics[name]]
        # The second was calibrated behind the form's own first, and the forms differ where a convolution
        # pads: on this network's maps of 2x2 pixels, everywhere.
        tolerance = 1e-4 if form == "module" or name == "decoder.ppm.concat" else 0.2
        for one in branches:
            assert one["equalised_mean"] == pytest.approx(0, abs=tolerance)
            assert one["equalised_std"] == pytest.approx(1, abs=tolerance)
    for one, two in zip(found["concatenations"]["decoder.ppm.concat"], statistics["decoder.ppm.concat"]):
        assert one["raw_std"] == pytest.approx(two["raw_std"], rel=1e-6)
        assert one["upsampled_std"] == pytest.approx(two["std"], rel=1e-6)
        assert one["weight"]["plain"] == one["weight"]["module"]
        assert one["weight"]["folded"] == pytest.approx(one["weight"]["plain"] / two["std"], rel=1e-5)
        assert set(one["gradient"]) == {"plain", "module", "folded"}


def test_the_same_job_measures_the_same_and_ends_with_a_sidecar(tmp_path, manifest):
    model = section("psp", "folded")
    calibrated(tmp_path, manifest, model)
    first = probed(tmp_path, manifest, model)
    assert probed(tmp_path, manifest, model) == first
    sidecar = json.loads((tmp_path / "probe.sidecar.json").read_text())
    assert sidecar["content"] == first["content"]
    assert set(sidecar["inputs"]) == {"manifest", "statistics"}
    assert sidecar["peak_memory_bytes"] > 0


def test_more_batches_than_there_are_are_not_made_up(tmp_path, manifest):
    model = section("psp", "folded")
    calibrated(tmp_path, manifest, model)
    assert probed(tmp_path, manifest, model, batches=50)["batches"] == 3


@pytest.mark.parametrize(
    ("form", "seed", "word"), [("folded", 1, "initialisation"), ("module", 0, "form of equalizer")]
)
def test_statistics_of_another_run_are_refused(tmp_path, manifest, form, seed, word):
    calibrated(tmp_path, manifest, section("psp", "folded"))
    with pytest.raises(InputError, match=f"was calibrated for another {word}"):
        probed(tmp_path, manifest, section("psp", form), seed=seed)


def labelled(count: int = 2) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for images in batches(count):
        masks = torch.randint(3, (len(images), *images.shape[-2:]), generator=generator)
        masks[:, :5] = 255
        found.append((images.double(), masks))
    return found


def networks(decoder: str, order: list[list[str]], pyramid: dict | None):
    """Double networks from one start: plain, folded, dividing by the std alone; and the stds."""
    names = [name for level in order for name in level]
    plain = build(section(decoder, pyramid=pyramid)).double()
    folded = build(section(decoder, "folded", order, pyramid=pyramid)).double()
    dividing = build(section(decoder, "module", order, pyramid=pyramid)).double()
    stds = {
        name: [0.4 + 0.35 * number for number, _ in enumerate(concat.subjects)]
        for name, concat in named_concatenations(plain).items()
        if name in names
    }
    apply_scales(folded, "folded", {name: [(0.0, std) for std in own] for name, own in stds.items()})
    apply_scales(dividing, "module", {name: [(0.0, std) for std in own] for name, own in stds.items()})
    return plain, folded, dividing, stds


CASES = [(decoder, order, None) for decoder, order in ALL_OF.items()]
CASES.append(("uper", [["pyramid.fusions.4", "pyramid.fusions.5"]], DFP))


@pytest.mark.parametrize(("decoder", "order", "pyramid"), CASES)
def test_folding_leaves_the_gradient_proportional_to_the_raw_feature(decoder, order, pyramid):
    _, folded, dividing, stds = networks(decoder, order, pyramid)
    loss = SegmentationLoss("labelled_pixels", 255)
    ours = probe_network(folded, list(stds), labelled(), loss, bn_fixed=False)
    theirs = probe_network(dividing, list(stds), labelled(), loss, bn_fixed=False)
    for name, own in stds.items():
        for one, two, std in zip(ours[name], theirs[name], own, strict=True):
            # the same function at its start, but dL/dW is that of the feature before it is divided
            assert one.gradient.value == pytest.approx(std * two.gradient.value, rel=1e-9)
            assert one.weight.value == pytest.approx(two.weight.value / std, rel=1e-9)
            assert one.fused.std == pytest.approx(one.upsampled.std, rel=1e-9)
            assert two.fused.std == pytest.approx(two.upsampled.std / std, rel=1e-9)


def test_gradients_are_those_of_a_backward_pass_by_hand():
    plain, *_ = networks("fcn", ALL_OF["fcn"], None)
    loss = SegmentationLoss("all_pixels", 255)
    found = probe_network(plain, ["decoder.concat"], labelled(), loss, bn_fixed=True)["decoder.concat"]
    network = copy.deepcopy(plain).eval()
    concat = named_concatenations(network)["decoder.concat"]
    convolution, _ = concat.consumers[0]
    squares, start = [0.0, 0.0], concat.channels[0]
    for images, masks in labelled():
        network.zero_grad()
        torch.nn.functional.cross_entropy(network(images), masks, ignore_index=255, reduction="sum").div(
            masks.numel()
        ).backward()
        for branch, part in enumerate(
            (convolution.weight.grad[:, :start], convolution.weight.grad[:, start:])
        ):
            squares[branch] += float(part.square().mean()) / 2
    assert [one.gradient.value for one in found] == pytest.approx([value**0.5 for value in squares], rel=1e-9)
    assert [one.weight.value for one in found] == pytest.approx(
        [
            float(part.square().mean().sqrt())
            for part in convolution.weight.detach().split(concat.channels, dim=1)
        ]
    )


def test_all_convolutions_that_read_a_concatenation_count():
    """The last level of a pyramid is read by the pooling module's fusion and by each of its grids."""
    name = "pyramid.fusions.5"
    plain, *_ = networks("uper", [[name]], DFP)
    loss = SegmentationLoss("labelled_pixels", 255)
    found = probe_network(plain, [name], labelled(), loss, bn_fixed=True)[name]
    network = copy.deepcopy(plain).eval()
    pooling = network.decoder.ppm
    readers = [pooling.fusion[0], *(unit[0] for unit in pooling.convs)]
    widths = named_concatenations(network)[name].channels
    gradients: list[list[torch.Tensor]] = [[] for _ in widths]
    weights: list[list[torch.Tensor]] = [[] for _ in widths]
    for images, masks in labelled():
        network.zero_grad()
        torch.nn.functional.cross_entropy(network(images), masks, ignore_index=255).backward()
        for reader in readers:
            for branch, (gradient, weight) in enumerate(
                zip(
                    reader.weight.grad[:, : sum(widths)].split(widths, dim=1),
                    reader.weight.detach()[:, : sum(widths)].split(widths, dim=1),
                    strict=True,
                )
            ):
                gradients[branch].append(gradient.flatten())
                weights[branch].append(weight.flatten())
    for one, gradient, weight in zip(found, gradients, weights, strict=True):
        for ours, parts in ((one.gradient, gradient), (one.weight, weight)):
            expected = float(torch.cat(parts).square().mean().sqrt())
            assert ours.value == pytest.approx(expected, rel=1e-9)


def test_a_probe_changes_nothing():
    plain, *_ = networks("uper", ALL_OF["uper"], None)
    before = copy.deepcopy(plain.state_dict())
    probe_network(plain, ["decoder.concat"], labelled(1), SegmentationLoss("sum", 255), bn_fixed=False)
    assert all(torch.equal(value, before[key]) for key, value in plain.state_dict().items())
    assert plain.training and all(p.grad is None for p in plain.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in plain.modules())
