"""Step `simulate`: variance of random maps before and after bilinear upsampling.

    simulation.json
             {"content", "maps", "mean", "ratios",
              "points": [{"variance": of the distribution, "before": measured, "after": {"2": 0.19, ...}}],
              "confirmed": [{"ratio", "variance", "exact", "upsampled", "images"}],
              "closed_form": {"finite": {"2": factor on the variance, ...}, "interior": {...}}}

Of the middle variance, the first `confirm` images are upsampled in truth: the `exact` variance of just
these images is that of the `upsampled` maps, or the job fails. Runs on the CPU.
"""

import logging

import torch

from pipeline_src.calibration.simulation import simulate
from pipeline_src.calibration.simulation_options import SimulateUpsampling
from pipeline_src.files import digest_of, write_json
from pipeline_src.provenance.job import Job
from pipeline_src.training.determinism import configure, describe_device, peak_memory

log = logging.getLogger("simulate")


def simulate_job(job: Job) -> None:
    """Simulate, and write the result and the sidecar of `job`."""
    device = torch.device("cpu")
    told = job.params_as(SimulateUpsampling)
    settings = configure(threads=told.threads, deterministic=True, device=device)
    simulation = told.simulation
    found = simulate(simulation, job.name)
    content = digest_of(found)
    write_json(job.outputs["simulation"], {"content": content, **found})
    for one in found["confirmed"]:
        log.info(
            "%s: ratio %d, variance %g: exact %.12g, upsampled %.12g",
            job.name, one["ratio"], one["variance"], one["exact"], one["upsampled"],
        )  # fmt: skip
    job.write_sidecar(
        content,
        ("torch",),
        f"{len(found['points'])} variances, {len(found['ratios'])} ratios",
        seeds={"simulation": simulation.seed},
        settings=settings,
        device=describe_device(device),
        peak_memory_bytes=peak_memory(device),
    )
