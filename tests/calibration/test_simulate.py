"""Variance of random maps after upsampling: the step against the upsampled maps, and bad jobs."""

import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from pipeline_src.calibration import simulation
from pipeline_src.calibration.simulation import images_of, moments_by_upsampling, simulate, spaced
from pipeline_src.calibration.simulation_options import Simulation
from pipeline_src.options import to_json
from tests.jobs import run_job, write_job_file

PARAMS = Simulation(
    maps=[3, 6, 10, 12], mean=0.4, variances=[0.01, 0.99], points=5, ratios=[1, 2, 3, 8], seed=4, confirm=2
)


def write_job(folder):
    job = {
        "step": "simulate",
        "name": "figure",
        "scale": "demo",
        "params": {"simulation": to_json(PARAMS), "threads": 1},
        "inputs": {},
        "outputs": {"sidecar": str(folder / "sidecar.json"), "simulation": str(folder / "simulation.json")},
        "digest": "a" * 64,
    }
    return write_job_file(folder, **job)


def upsampled(maps: torch.Tensor, ratio: int) -> torch.Tensor:
    return F.interpolate(maps.double(), scale_factor=ratio, mode="bilinear", align_corners=False)


def test_every_variance_is_that_of_the_upsampled_maps(tmp_path):
    run_job(write_job(tmp_path))
    found = json.loads((tmp_path / "simulation.json").read_text())
    assert [point["variance"] for point in found["points"]] == [0.01, 0.255, 0.5, 0.745, 0.99]
    assert (found["maps"], found["mean"], found["ratios"]) == (PARAMS.maps, 0.4, [1, 2, 3, 8])
    for number, point in enumerate(found["points"]):
        maps = torch.cat(list(images_of(PARAMS, number, point["variance"])))
        assert maps.shape == (3, 6, 10, 12)
        assert point["before"] == pytest.approx(float(maps.double().var(correction=0)), rel=1e-12)
        assert list(point["after"]) == ["1", "2", "3", "8"]
        for ratio, after in point["after"].items():
            assert after == pytest.approx(float(upsampled(maps, int(ratio)).var(correction=0)), rel=1e-9)
        assert point["after"]["1"] == point["before"]
    sidecar = json.loads((tmp_path / "sidecar.json").read_text())
    assert sidecar["content"] == found["content"]
    assert 0 < sidecar["peak_memory_bytes"] < 2 * 2**30


def test_the_middle_variance_is_confirmed_by_upsampling():
    found = simulate(PARAMS)["confirmed"]
    assert [(one["ratio"], one["variance"], one["images"]) for one in found] == [
        (r, 0.5, 2) for r in (1, 2, 3, 8)
    ]
    maps = torch.cat(list(images_of(PARAMS, 2, 0.5))[:2])
    for one in found:
        expected = float(upsampled(maps, one["ratio"]).var(correction=0))
        assert one["upsampled"] == pytest.approx(expected, rel=1e-12)
        assert one["exact"] == pytest.approx(expected, rel=1e-9)
    assert simulate(replace(PARAMS, confirm=0))["confirmed"] == []


def test_closed_forms_are_the_papers_and_the_limit():
    closed = simulate(replace(PARAMS, maps=[1, 1, 128, 128], ratios=[2, 4, 8], confirm=1))["closed_form"]
    assert closed["finite"] == pytest.approx({"2": 0.39430, "4": 0.43420, "8": 0.44447}, abs=5e-6)
    assert closed["interior"] == pytest.approx({"2": 0.3906, "4": 0.4307, "8": 0.4410}, abs=6e-5)


@pytest.mark.parametrize("maps", [[2, 64, 32, 32], [2, 512, 4, 32], [2, 512, 32, 4]])
def test_measured_factors_are_near_the_closed_form(maps):
    found = simulate(replace(PARAMS, maps=maps, points=2, ratios=[2, 4], confirm=0))
    for point in found["points"]:
        assert point["before"] == pytest.approx(point["variance"], rel=0.02)
        for ratio, after in point["after"].items():
            assert after / point["before"] == pytest.approx(found["closed_form"]["finite"][ratio], rel=0.02)


def test_images_are_functions_of_seed_variance_and_number():
    first, second, _ = images_of(PARAMS, 1, 0.2)
    again = list(images_of(replace(PARAMS, points=50, ratios=[2]), 1, 0.2))
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])
    assert not torch.equal(first, second)
    assert not torch.equal(first, next(images_of(PARAMS, 2, 0.2)))
    assert not torch.equal(first, next(images_of(replace(PARAMS, seed=5), 1, 0.2)))
    assert first.dtype == torch.float32


def test_chunks_of_channels_change_only_the_last_bits(monkeypatch):
    image = next(images_of(PARAMS, 0, 0.3))
    whole = moments_by_upsampling(image, 4)
    monkeypatch.setattr(simulation, "UPSAMPLED_CHUNK", 1)
    pieces = moments_by_upsampling(image, 4)
    assert whole.count == pieces.count == 6 * 40 * 48
    assert pieces.variance == pytest.approx(whole.variance, rel=1e-12)


def test_moments_that_are_not_those_of_the_maps_end_the_job(tmp_path, monkeypatch):
    exact = simulation.upsampled_moments

    def wrong(x, size):
        found = exact(x, size)
        return simulation.Moments(found.count, found.mean, found.m2 * (1 + 1e-8))

    monkeypatch.setattr(simulation, "upsampled_moments", wrong)
    with pytest.raises(ArithmeticError, match="ratio 1: exact moments"):
        run_job(write_job(tmp_path))
    assert not (tmp_path / "simulation.json").exists()


def test_variances_are_evenly_spaced():
    assert spaced(0.01, 0.99, 99) == [pytest.approx(0.01 * number) for number in range(1, 100)]
    assert math.isclose(spaced(0.01, 0.99, 9)[4], 0.5)
