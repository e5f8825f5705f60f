"""What is timed, how often, and how it is summarised."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline_src.errors import InputError
from pipeline_src.options import from_json
from pipeline_src.profiling.latency import measure_latency, summarise
from pipeline_src.profiling.memory import measure_peak_memory
from pipeline_src.profiling.training_step import training_step
from pipeline_src.tasks.segmentation.costs import COSTS
from pipeline_src.training.optimizer_options import Update
from tests.profiling.sections import RECIPE

CPU = torch.device("cpu")


def update(**changes: Any) -> Update:
    return from_json(Update, {**RECIPE, **changes}, part=True)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 10])
def test_summary_is_median_and_quartiles(n: int) -> None:
    seconds = np.random.default_rng(n).exponential(size=n)
    latency = summarise(list(seconds))
    expected = np.percentile(seconds, [50, 25, 75])
    np.testing.assert_allclose([latency.median, latency.lower_quartile, latency.upper_quartile], expected)
    assert latency.repeats == n


def test_warm_up_calls_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    durations = iter([100.0, 50.0, 1.0, 2.0, 3.0])

    def call() -> None:
        clock[0] += next(durations)

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    latency = measure_latency(call, CPU, repeats=3, warmup=2)
    assert (latency.lower_quartile, latency.median, latency.upper_quartile) == (1.5, 2.0, 2.5)
    with pytest.raises(StopIteration):
        next(durations)


def test_a_cpu_has_no_peak_memory_and_runs_nothing_for_it() -> None:
    calls: list[int] = []
    assert measure_peak_memory(lambda: calls.append(1), CPU) is None
    assert calls == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_memory_covers_what_the_call_allocates() -> None:
    device = torch.device("cuda")
    baseline = torch.cuda.memory_allocated(device)

    def call() -> None:
        torch.empty(64 * 2**20, dtype=torch.uint8, device=device)

    peak = measure_peak_memory(call, device)
    assert peak is not None
    assert 64 * 2**20 <= peak - baseline < 80 * 2**20


def reference_step(model: nn.Module, images: torch.Tensor, masks: torch.Tensor) -> dict[str, torch.Tensor]:
    """One step of plain SGD with momentum from rest, by hand."""
    output = model(images)
    logits, auxiliary = output if isinstance(output, tuple) else (output, None)
    loss = nn.functional.cross_entropy(logits, masks)
    if auxiliary is not None:
        loss = loss + 0.4 * nn.functional.cross_entropy(auxiliary, masks)
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters)
    options = update().optimizer
    return {
        name: p.detach() - options.lr * (g + options.weight_decay * p.detach())
        for name, p, g in zip(names, parameters, gradients, strict=True)
    }


class TwoHeads(nn.Module):
    """Two convolutions of the image, as a decoder and an auxiliary head."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Conv2d(3, 4, 3, padding=1)
        self.auxiliary = nn.Conv2d(3, 4, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.decoder(images), self.auxiliary(images)


@pytest.mark.parametrize("make", [partial(nn.Conv2d, 3, 4, 3, padding=1), TwoHeads])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_a_timed_step_is_a_real_one(make: Callable[[], nn.Module], accumulate: int) -> None:
    torch.manual_seed(accumulate)
    model = make()
    images, masks = COSTS.made_up_batch(6, (8, 10), 4, CPU)
    assert images.shape == (6, 3, 8, 10) and masks.shape == (6, 8, 10)
    expected = reference_step(model, images, masks)
    training_step(model, COSTS.objective(RECIPE["loss"]), update(accumulate=accumulate), (images, masks))()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name])


def test_half_precision_on_a_cpu_is_refused() -> None:
    with pytest.raises(InputError, match="fp16"):
        training_step(nn.Conv2d(3, 2, 1), COSTS.objective(RECIPE["loss"]), update(amp="fp16"), None)
