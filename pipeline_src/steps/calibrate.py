"""Step `calibrate`: global mean and std of every branch that a run's scale equalizers normalise.

The network is the run's own before its first step, and sees the batches of the run's first epoch:
training transforms, training batch, last short batch dropped. Started again after a kill or a signal
it continues, and ends with the same bits. Under `torchrun` the ranks share the batches.
"""

import contextlib
from pathlib import Path
from typing import Any

from pipeline_src.calibration.calibrate import Calibrator
from pipeline_src.calibration.first_batches import FirstBatches
from pipeline_src.calibration.start_params import CalibrateRun
from pipeline_src.calibration.statistics_file import identity_of, write_statistics
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.files import content_of
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.options import to_json
from pipeline_src.provenance.environment import TRAINING_PACKAGES
from pipeline_src.provenance.job import Job
from pipeline_src.training.batchnorm import convert_sync_batchnorm
from pipeline_src.training.checkpoint import CheckpointFolder
from pipeline_src.training.checkpoint_paths import WORK, checkpoint_folder
from pipeline_src.training.determinism import configure, describe_device, peak_memory
from pipeline_src.training.distributed import Ranks, process_group
from pipeline_src.training.initial_model import initial_model
from pipeline_src.training.stopping import SaveInterval, StopRequest


def calibrate_job(
    job: Job,
    device: str = "auto",
    workers: int | None = None,
    work: Path = WORK,
    interval: SaveInterval | None = None,
) -> None:
    """Calibrate, or continue, and write the statistics and the sidecar of `job`.

    Raises `InputError` for a batch of one image and for a branch without spread, and `Interrupted`
    after a signal, with the state saved.
    """
    with contextlib.ExitStack() as stack:
        ranks = stack.enter_context(process_group(device))
        stop = stack.enter_context(StopRequest())
        inputs = {
            name: content_of(path) for name, path in sorted(job.inputs.items()) if isinstance(path, str)
        }
        folder = checkpoint_folder(work, job.scale, job.name, job.digest) / "calibration"
        store = CheckpointFolder(folder, job.digest, inputs)
        if ranks.first:
            stack.enter_context(store.held())
        run = job.params_as(CalibrateRun)
        settings = configure(threads=run.threads, deterministic=run.deterministic, device=ranks.device)
        statistics = _calibrate(job, run, ranks, store, interval or SaveInterval(), stop, workers)
        if ranks.first:
            content = write_statistics(job.outputs["statistics"], statistics)
            job.write_sidecar(
                content,
                TRAINING_PACKAGES,
                f"{len(statistics['concatenations'])} concatenations on {statistics['images']} images",
                seeds={"run": run.seed},
                settings=settings,
                device=describe_device(ranks.device),
                world_size=ranks.world,
                peak_memory_bytes=peak_memory(ranks.device),
            )
            store.clear()


def _calibrate(
    job: Job,
    run: CalibrateRun,
    ranks: Ranks,
    store: CheckpointFolder,
    interval: SaveInterval,
    stop: StopRequest,
    workers: int | None,
) -> dict[str, Any]:
    equalizer = run.equalizer
    data = Manifest.load(job.input("manifest")).content
    model, _ = initial_model(job, run, build_segmentor)
    identity = identity_of(model, run.model, data)
    if ranks.world > 1:
        model = convert_sync_batchnorm(model, ranks.device)
    model.to(ranks.device)

    batches = FirstBatches.of(run, job.input("manifest"), ranks, workers)
    records = Calibrator(
        name=job.name,
        model=model,
        form=equalizer["form"],
        order=equalizer["concatenations"],
        images=batches.images,
        batches=batches.count,
        bn_fixed=run.recipe.bn_fixed,
        ranks=ranks,
        store=store,
        interval=interval,
        stop=stop,
    ).run()
    return {
        "form": equalizer["form"],
        **identity,
        "batch": batches.batch,
        "batches": batches.count,
        "images": batches.batch * batches.count,
        "augment": to_json(run.recipe.augment),
        "batch_norm": "fixed" if run.recipe.bn_fixed else "batch statistics",
        "dropout": "off",
        "drop_path": "off",
        "order": equalizer["concatenations"],
        "concatenations": records,
    }
