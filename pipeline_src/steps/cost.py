"""Workflow step `cost`: what an architecture costs, counted (cost.json) and timed (timing.json).

No data and no weights are needed.
"""

from functools import partial
from typing import Any

import torch

from pipeline_src.components import load
from pipeline_src.files import digest_of, write_json
from pipeline_src.profiling.cost_params import MeasureCost
from pipeline_src.profiling.latency import measure_latency
from pipeline_src.profiling.memory import measure_peak_memory
from pipeline_src.profiling.training_step import training_step
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.task import task_of
from pipeline_src.training.determinism import describe_device


def measure_cost(job: Job) -> None:
    """Count and time one architecture, and write both files and the sidecar of `job`."""
    params = job.params_as(MeasureCost)
    cost = count_cost(params)
    write_json(job.outputs["cost"], cost)
    timing = time_cost(params)
    write_json(job.outputs["timing"], timing)
    found = (
        f"{cost['parameters'] / 1e6:.3g} M parameters, {cost['flops'] / 1e9:.3g} GFLOPs, "
        f"{timing['latency'] * 1e3:.3g} ms a batch, {timing['step_time'] * 1e3:.3g} ms a training step"
    )
    job.write_sidecar(
        cost["content"], ("torch", "torchvision", "timm"), summary=found, device=timing["device"]
    )


def count_cost(params: MeasureCost) -> dict[str, Any]:
    """The counted costs: the same on every machine.

    FLOPs are of one image, saved bytes of what one forward pass sees: the batch, or a micro-batch of it.
    """
    costs = load(f"costs.{task_of(params.model)}")
    cost = costs.describe(params.model, params.crop)
    cost["batch"] = params.batch
    part = params.batch // params.recipe.accumulate
    cost["saved_bytes"] = costs.saved_bytes(params.model, part, params.crop)
    return {"content": digest_of(cost), **cost}


def time_cost(params: MeasureCost) -> dict[str, Any]:
    """The measured costs, with the device that they belong to: inference and training step of a batch.

    `latency` and `step_time` are medians in seconds; `peak_memory` is in bytes, null without a GPU.
    """
    torch.set_num_threads(params.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, batch, repeats, warmup = params.model, params.batch, params.repeats, params.warmup
    costs = load(f"costs.{task_of(model)}")
    torch.manual_seed(0)
    module = costs.build(model).to(device)
    made_up = costs.made_up_batch(batch, params.crop, model["num_classes"], device)

    module.eval()
    with torch.inference_mode():
        inference = measure_latency(partial(module, made_up[0]), device, repeats, warmup)
    step = training_step(module, costs.objective(params.recipe.loss), params.recipe, made_up)
    training = measure_latency(step, device, repeats, warmup)
    return {
        "crop": list(params.crop),
        "batch": batch,
        "latency": inference.median,
        "latency_quartiles": [inference.lower_quartile, inference.upper_quartile],
        "step_time": training.median,
        "step_time_quartiles": [training.lower_quartile, training.upper_quartile],
        "repeats": repeats,
        "peak_memory": measure_peak_memory(step, device),
        "device": {
            "name": describe_device(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
    }
