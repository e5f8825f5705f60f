"""Calibration of whole networks: means 0 and deviations 1 afterwards, nested, resumed, shared by ranks."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pipeline_src.calibration.calibrate import Calibrator
from pipeline_src.calibration.measure import first_step_modes, measured
from pipeline_src.calibration.statistics_file import check_branches
from pipeline_src.config.resolve import concatenations
from pipeline_src.errors import InputError, Interrupted
from pipeline_src.models.fusion.equalizer_options import equalised
from pipeline_src.models.fusion.scale_equalizer import (
    ScaleEqualizer,
    apply_scales,
    divide_branches,
    named_concatenations,
)
from pipeline_src.training import stopping
from pipeline_src.training.checkpoint import CheckpointFolder
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.stopping import SaveInterval
from tests.calibration.networks import ALL_OF, DFP, IPG, batches, build, section

CPU = Ranks(0, 1, torch.device("cpu"))


def order_of(decoder: str, pyramid: dict | None = None) -> list[list[str]]:
    """Every concatenation of the network, nested as the planner nests them."""
    available = concatenations(section(decoder, pyramid=pyramid))
    return equalised(available, [one.name for one in available])


def calibrator(model: nn.Module, form: str, order: list[list[str]], **options) -> Calibrator:
    images = batches()
    values = {
        "name": "run", "model": model, "form": form, "order": order, "batches": len(images),
        "bn_fixed": False, "images": lambda first: iter(images[first:]), "ranks": CPU, **options,
    }  # fmt: skip
    return Calibrator(**values)


def moments_after(model: nn.Module, names: list[str]) -> dict[str, list[tuple[float, float]]]:
    """Mean and std of every equalised branch over the calibration data, by brute force."""
    seen: dict[str, list[list[torch.Tensor]]] = {name: [] for name in names}
    concats = named_concatenations(model)
    handles = []
    for name in names:
        for subject in concats[name].subjects:
            seen[name].append([])
            handles.append(
                concats[name]
                .equalizers[subject]
                .register_forward_hook(
                    lambda module, inputs, output, place=seen[name][-1]: place.append(output.double())
                )
            )
    with first_step_modes(model, bn_fixed=False), torch.no_grad():
        for images in batches():
            model(images)
    for handle in handles:
        handle.remove()
    return {
        name: [(float(torch.cat([m.reshape(-1) for m in maps]).mean()),
                float(torch.cat([m.reshape(-1) for m in maps]).std(correction=0))) for maps in branches]
        for name, branches in seen.items()
    }  # fmt: skip


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("decoder", list(ALL_OF))
def test_after_calibration_every_subject_has_mean_0_and_std_1(decoder, align_corners):
    order = order_of(decoder)
    model = build(section(decoder, "module", order, align_corners=align_corners))
    records = calibrator(model, "module", order).run()
    after = moments_after(model, [name for level in order for name in level])
    for name, branches in after.items():
        assert len(records[name]) == len(branches)
        for mean, std in branches:
            assert abs(mean) < 1e-5
            assert abs(std - 1) < 1e-5


def test_nested_subjects_of_a_pyramid_before_a_decoder():
    order = order_of("uper", DFP)
    assert order == [["pyramid.fusions.4", "pyramid.fusions.5"], ["decoder.ppm.concat"], ["decoder.concat"]]
    model = build(section("uper", "module", order, pyramid=DFP))
    calibrator(model, "module", order).run()
    for branches in moments_after(model, [name for level in order for name in level]).values():
        assert all(abs(mean) < 1e-5 and abs(std - 1) < 1e-5 for mean, std in branches)


def test_guided_stages_are_measured_one_after_the_other():
    order = order_of("uper", IPG)
    stages = [[f"pyramid.fusions.stage{stage}.concat"] for stage in (2, 3, 4)]
    assert order == [*stages, ["decoder.ppm.concat"], ["decoder.concat"]]
    model = build(section("uper", "module", order, pyramid=IPG))
    calibrator(model, "module", order).run()
    for branches in moments_after(model, [name for level in order for name in level]).values():
        assert all(abs(mean) < 1e-5 and abs(std - 1) < 1e-5 for mean, std in branches)


@pytest.mark.parametrize("decoder", list(ALL_OF))
def test_the_forms_agree_on_what_they_measure(decoder):
    order = order_of(decoder)
    module = calibrator(build(section(decoder, "module", order)), "module", order).run()
    folded = calibrator(build(section(decoder, "folded", order)), "folded", order).run()
    first = order[0][0]
    assert module[first] == folded[first]
    for name in module:
        # nested ones differ a little: at zero-padded borders, where only the module subtracts the mean
        for ours, theirs in zip(module[name], folded[name], strict=True):
            assert ours["std"] == pytest.approx(theirs["std"], rel=0.1)


@pytest.mark.parametrize("decoder", ["psp", "fcn", "uper"])
def test_a_concatenation_that_is_a_branch_of_another_is_folded_once(decoder):
    order = order_of(decoder, DFP)
    module = calibrator(build(section(decoder, "module", order, pyramid=DFP)), "module", order).run()
    network = build(section(decoder, "folded", order, pyramid=DFP))
    folded = calibrator(network, "folded", order).run()
    for name in module:
        for ours, theirs in zip(folded[name], module[name], strict=True):
            assert ours["std"] == pytest.approx(theirs["std"], rel=0.1)
    inner = folded["decoder.ppm.concat" if decoder != "fcn" else "decoder.concat"][0]
    assert inner["branch"] == "input" and inner["std"] == pytest.approx(1, rel=0.1)

    # the network whose maps are divided in truth is the same function, padded borders included
    dividing = build(section(decoder, "folded", order, pyramid=DFP))
    scales = {name: [(r["mean"], r["std"]) for r in records] for name, records in folded.items()}
    divide_branches(dividing, scales)
    images = batches()[0]
    with torch.no_grad(), first_step_modes(dividing, False), first_step_modes(network, False):
        torch.testing.assert_close(network(images), dividing(images), rtol=1e-4, atol=1e-4)
    # and so is one to which a training applies the statistics
    trained = build(section(decoder, "folded", order, pyramid=DFP))
    apply_scales(trained, "folded", scales)
    for name, tensor in trained.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-6, atol=0)
    assert not any(isinstance(part, ScaleEqualizer) for part in network.modules())


def test_modes_are_those_of_the_first_step_and_statistics_stay():
    model = build(section("uper", "folded", [["decoder.concat"]]))
    model.train()
    model.decoder.dropout.eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    norms[-1].track_running_stats = False
    tracked = [norm.track_running_stats for norm in norms]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "running" in name}
    modes = {name: module.training for name, module in model.named_modules()}
    seen = []
    norms[0].register_forward_pre_hook(
        lambda module, inputs: seen.append((module.training, model.decoder.dropout.training))
    )
    calibrator(model, "folded", [["decoder.concat"]]).run()
    assert set(seen) == {(True, False)}
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(int(after[name]) == 0 for name in after if name.endswith("num_batches_tracked"))
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert [norm.track_running_stats for norm in norms] == tracked


def test_fixed_batch_norm_uses_its_running_statistics():
    model = build(section("fcn", "folded"))
    with first_step_modes(model, bn_fixed=True):
        assert not any(module.training for module in model.modules())


def test_an_interrupted_calibration_ends_with_the_same_bits(tmp_path):
    order = order_of("uper")
    whole = calibrator(build(section("uper", "folded", order)), "folded", order).run()

    class StopAfter:
        def __init__(self, batch: int) -> None:
            self.left = batch

        @property
        def requested(self) -> str | None:
            self.left -= 1
            return "SIGTERM" if self.left == 0 else None

    for stop_after in range(1, 6):
        store = CheckpointFolder(Path(tmp_path / str(stop_after)), "job", {})
        with store.held():
            model = build(section("uper", "folded", order))
            with pytest.raises(Interrupted, match=rf"batch {stop_after} of 6 is saved"):
                calibrator(model, "folded", order, store=store, stop=StopAfter(stop_after)).run()
            model = build(section("uper", "folded", order))
            again = calibrator(model, "folded", order, store=store, interval=SaveInterval(steps=1)).run()
        assert again == whole


def test_a_calibration_is_saved_so_many_minutes_after_the_last_time(tmp_path, monkeypatch):
    minutes, saved = 0, []
    save = CheckpointFolder.save
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: 60.0 * minutes))
    monkeypatch.setattr(
        CheckpointFolder, "save", lambda self, done, state: saved.append(done) or save(self, done, state)
    )

    def a_minute_each(first):
        nonlocal minutes
        for images in (batches() * 3)[first:]:
            minutes += 1
            yield images

    order = [["decoder.concat"]]
    store = CheckpointFolder(tmp_path / "store", "job", {})
    with store.held():
        calibrator(
            build(section("fcn", "folded", order)),
            "folded",
            order,
            images=a_minute_each,
            batches=9,
            store=store,
            interval=SaveInterval(minutes=3),
        ).run()
    assert saved == [3, 6]  # not after the last batch, which is followed by the result


def test_counts_are_those_of_the_upsampled_maps():
    order = [["decoder.concat"]]
    records = calibrator(build(section("uper", "folded", order)), "folded", order).run()
    # three batches of four images of 75x90: level 2 has 19x23 pixels, to which all are upsampled
    assert {record["count"] for record in records["decoder.concat"]} == {3 * 4 * 6 * 19 * 23}
    assert [record["branch"] for record in records["decoder.concat"]] == [f"level {n}" for n in (2, 3, 4, 5)]
    first, *others = records["decoder.concat"]
    assert first["raw_std"] == first["std"]
    assert all(record["std"] < record["raw_std"] for record in others)  # Theorem 3.2


def test_moments_are_those_of_the_maps_that_are_concatenated():
    order = [["decoder.concat"]]
    model = build(section("uper"))
    concat = named_concatenations(model)["decoder.concat"]
    maps: list[list[torch.Tensor]] = [[] for _ in concat.channels]

    def keep(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        for place, part in zip(maps, output.split(concat.channels, dim=1), strict=True):
            place.append(part.double().reshape(-1))

    concat.register_forward_hook(keep)
    with first_step_modes(model, False), measured({"decoder.concat": concat}) as found, torch.no_grad():
        for images in batches():
            model(images)
    for branch, parts in zip(found["decoder.concat"], maps, strict=True):
        values = torch.cat(parts)
        assert branch.upsampled.count == len(values)
        assert branch.upsampled.mean == pytest.approx(float(values.mean()), rel=1e-6)
        assert branch.upsampled.std == pytest.approx(float(values.std(correction=0)), rel=1e-6)
    assert order


def test_a_dead_branch_is_named():
    model = build(section("fcn", "folded"))
    nn.init.zeros_(model.decoder.convs[1][1].weight)
    with pytest.raises(InputError, match=r"decoder\.concat, branch 'convs': mean 0 and std 0 .* dead"):
        calibrator(model, "folded", [["decoder.concat"]]).run()
    # what rounding leaves of a branch is not worth amplifying a million times
    nn.init.constant_(model.decoder.convs[1][1].weight, 1e-9)
    with pytest.raises(InputError, match=r"std [\d.e-]+ cannot equalise it; .* at least 1e-06"):
        calibrator(model, "folded", [["decoder.concat"]]).run()
    nn.init.constant_(model.decoder.convs[1][1].weight, math.nan)
    with pytest.raises(InputError, match=r"branch 'convs': mean nan and std nan"):
        calibrator(model, "folded", [["decoder.concat"]]).run()
    with pytest.raises(InputError, match="std nan"):
        check_branches("decoder.concat", [{"branch": "convs", "mean": 0.0, "std": math.nan}])


def test_half_precision_is_equalised_in_single():
    equalizer = ScaleEqualizer(1000.0, 2e-6)
    x = torch.full((1, 2, 3, 3), 1000.0, dtype=torch.float16)
    assert equalizer(x).dtype == torch.float16
    assert torch.equal(equalizer(x), torch.zeros_like(x))


def test_module_equalizers_keep_their_scales_in_the_weights():
    order = order_of("psp")
    model = build(section("psp", "module", order))
    records = calibrator(model, "module", order).run()
    stored = [m for m in model.modules() if isinstance(m, ScaleEqualizer)]
    assert [float(m.std) for m in stored] == pytest.approx([r["std"] for r in records["decoder.ppm.concat"]])
    assert sum(".equalizers." in name for name in model.state_dict()) == 2 * len(stored)
