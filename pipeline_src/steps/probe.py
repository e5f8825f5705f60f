"""Step `probe`: scales of features and gradients at the start of a run: plain, with modules, folded.

    probe.json
             {"content", "batches", "batch",
              "concatenations": {"decoder.concat": [{"branch": "level 2", "raw_std", "upsampled_std",
                  "equalised_mean", "equalised_std",
                  "gradient": {"plain", "module", "folded"}, "weight": {"plain", "module", "folded"}}]}}

The run's initial network is built three times, from the same weights, and sees the run's first batches.
The statistics are of the form that was calibrated; the same scales serve both forms. Behind another
equalised concatenation a folded run's means do not fit its modules, since folding takes none away.
`raw_` and `upsampled_` are of the plain network, `equalised_` is measured behind the modules. `gradient`
is the root mean square, over a branch's group of fusion weights and all batches, of the gradient of the
decoder's loss, and `weight` that of the weights.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pipeline_src.calibration.first_batches import FirstBatches
from pipeline_src.calibration.probe import probe_network, probe_records
from pipeline_src.calibration.probe_params import ProbeRun
from pipeline_src.calibration.probed_forms import PLAIN, PROBED_FORMS
from pipeline_src.calibration.statistics_file import scales_for
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.errors import InputError
from pipeline_src.files import digest_of, write_json
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.fusion.scale_equalizer import Scale, apply_scales
from pipeline_src.progress import track
from pipeline_src.provenance.environment import TRAINING_PACKAGES
from pipeline_src.provenance.job import Job
from pipeline_src.training.determinism import configure, describe_device, peak_memory
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.initial_model import initial_model
from pipeline_src.training.losses import SegmentationLoss


def probe_job(job: Job, device: str = "auto", workers: int | None = None) -> None:
    """Probe, and write the result and the sidecar of `job`.

    Raises `InputError` for statistics of another initialisation, model, data set or form, for a batch of
    one image and for `cuda` without a device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device is visible; use --device cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    ranks = Ranks(0, 1, torch.device(device))
    run = job.params_as(ProbeRun)
    settings = configure(threads=run.threads, deterministic=run.deterministic, device=ranks.device)
    found = _probe(job, run, ranks, workers)
    content = digest_of(found)
    write_json(job.outputs["probe"], {"content": content, **found})
    job.write_sidecar(
        content,
        TRAINING_PACKAGES,
        f"{len(found['concatenations'])} concatenations on {found['batches']} batches",
        seeds={"run": run.seed},
        settings=settings,
        device=describe_device(ranks.device),
        peak_memory_bytes=peak_memory(ranks.device),
    )


def _probe(job: Job, run: ProbeRun, ranks: Ranks, workers: int | None) -> dict[str, Any]:
    data = Manifest.load(job.input("manifest")).content
    own, _ = initial_model(job, run, build_segmentor)
    _, scales = scales_for(own, run.model, data, job.input("statistics"))
    del own
    first = FirstBatches.of(run, job.input("manifest"), ranks, workers)
    # kept, so that the three networks see the same and nothing is loaded three times
    batches = list(first.load(count=run.batches))
    loss = SegmentationLoss.of(run.recipe.loss, run.data.ignore_index).to(ranks.device)
    names = [name for level in run.equalizer["concatenations"] for name in level]
    found = {
        form: probe_network(
            network(job, run, form, scales).to(ranks.device), names, batches, loss, run.recipe.bn_fixed
        )
        for form in track(PROBED_FORMS, len(PROBED_FORMS), f"{job.name}: probe", "network")
    }
    return {
        "batches": len(batches),
        "batch": first.batch,
        "concatenations": probe_records(found),
    }


def network(job: Job, run: ProbeRun, form: str, scales: dict[str, list[Scale]]) -> nn.Module:
    """The initial network of a run in one of `PROBED_FORMS`; on the CPU, equalised."""
    equalizer = None if form == PLAIN else {**run.equalizer, "form": form}
    changed = replace(run, model={**run.model, "equalizer": equalizer})
    model, _ = initial_model(job, changed, build_segmentor)
    if form != PLAIN:
        apply_scales(model, form, scales)
    return model
