"""One training job, from its resolved parameters to its outputs: composes what the other modules hold.

What a data set or a model is comes in through `Parts`; this package knows of neither.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from pipeline_src.files import content_of
from pipeline_src.progress import score_text
from pipeline_src.provenance.environment import TRAINING_PACKAGES, describe_environment
from pipeline_src.provenance.job import Job
from pipeline_src.training.batchnorm import convert_sync_batchnorm
from pipeline_src.training.checkpoint import CheckpointFolder
from pipeline_src.training.checkpoint_paths import WORK, checkpoint_folder
from pipeline_src.training.determinism import configure, describe_device, peak_memory
from pipeline_src.training.distributed import Ranks, process_group
from pipeline_src.training.engine import Trainer
from pipeline_src.training.finished_training import WEIGHTS, copy_out, read_finished, write_finished
from pipeline_src.training.initial_model import BuildModel, initial_model
from pipeline_src.training.journal import Journal, last_values
from pipeline_src.training.objective import Batch, Objective
from pipeline_src.training.preflight import check_batch, check_warmup
from pipeline_src.training.recipe import Recipe
from pipeline_src.training.seeding import derive
from pipeline_src.training.stopping import SaveInterval, StopRequest
from pipeline_src.training.timetable import Timetable
from pipeline_src.training.train_params import TrainRun
from pipeline_src.training.weight_files import digest_of_weights, save_weights, weights_of


@dataclass(frozen=True)
class Data:
    """What a training needs of a data set.

    `batches(first_step, total_steps)` yields this rank's batch of every step from the first on, as the
    `objective` takes it; `validate(model)` returns scores by metric and is called on every rank, or is
    None.
    """

    samples: int
    batches: Callable[[int, int], Iterator[Batch]]
    validate: Callable[[nn.Module], Mapping[str, float]] | None
    objective: Objective


@dataclass(frozen=True)
class Parts:
    """What the job is about.

    `build_model(model section, weights file or None)` and `open_data(job, ranks, loader workers)`.
    `prepare(model, job)` completes the initial model from further inputs of the job, such as the
    statistics of its scale equalizers, and returns facts for the sidecar. `synchronise_bn`: whether batch
    normalisation takes its statistics over all ranks or over a rank's own batch. `headline`: the score that
    a finished training is summarised with.
    """

    build_model: BuildModel
    open_data: Callable[[Job, Ranks, int], Data]
    prepare: Callable[[nn.Module, Job], dict[str, Any]] = lambda model, job: {}
    synchronise_bn: bool = True
    headline: str = ""


@dataclass(frozen=True)
class Options:
    """How this process works on a job; none of it changes the result.

    `workers` None: as many loader processes as usually keep the device busy.
    """

    workers: int | None = None
    device: str = "auto"
    work: Path = WORK
    interval: SaveInterval = field(default_factory=SaveInterval)


def train_job(job: Job, parts: Parts, options: Options) -> None:
    """Train, or continue, or only write the outputs of what is already trained.

    Correct in one process and as one of several under `torchrun`; the first rank alone writes.

    Raises `InputError` for input that cannot be trained with (`Diverged` for a loss that is not
    finite), and `Interrupted` after a signal, with the state saved.
    """
    with contextlib.ExitStack() as stack:
        ranks = stack.enter_context(process_group(options.device))
        stop = stack.enter_context(StopRequest())
        inputs = {name: _content(path) for name, path in sorted(job.inputs.items())}
        if job.params_as(TrainRun).strict_environment:
            inputs["set of libraries"] = _libraries()
        folder = checkpoint_folder(options.work, job.scale, job.name, job.digest)
        store = CheckpointFolder(folder, job.digest, inputs)
        record = None
        if ranks.first:
            stack.enter_context(store.held())
            record = read_finished(store)
        record = ranks.share(record)
        if record is None:
            record = _train(job, parts, options, ranks, store, stop)
        if ranks.first:
            _write_outputs(job, store, record, parts.headline)


def _train(
    job: Job, parts: Parts, options: Options, ranks: Ranks, store: CheckpointFolder, stop: StopRequest
) -> dict[str, Any]:
    run, recipe = job.params_as(TrainRun), job.section_as(Recipe, "recipe")
    settings = configure(threads=run.threads, deterministic=run.deterministic, device=ranks.device)
    workers = options.workers
    if workers is None:
        workers = 4 if ranks.device.type == "cuda" else 0
    data = parts.open_data(job, ranks, workers)
    check_batch(recipe, data.samples, ranks.world)
    check_warmup(recipe, data.samples)
    timetable = Timetable.of(recipe, data.samples)
    model, start = initial_model(job, run, parts.build_model)
    start |= parts.prepare(model, job)
    if ranks.world > 1 and parts.synchronise_bn:
        model = convert_sync_batchnorm(model, ranks.device)
    model.to(ranks.device)

    trainer = Trainer(
        name=job.name,
        model=model,
        recipe=recipe,
        timetable=timetable,
        seed=run.seed,
        objective=data.objective,
        ranks=ranks,
        store=store,
        journal=Journal(store.folder if ranks.first else None),
        batches=lambda first: data.batches(first, timetable.total_steps),
        validate=data.validate,
        interval=options.interval,
        stop=stop,
        session={
            "device": describe_device(ranks.device),
            "world_size": ranks.world,
            "threads": settings["threads"],
            "workers": workers,
            "libraries": _libraries(),
        },
    )
    trainer.run()

    if not ranks.first:
        return {}
    weights = weights_of(model)
    save_weights(store.folder / WEIGHTS, weights)
    return write_finished(
        store,
        {
            "weights": {"content": digest_of_weights(weights), "tensors": len(weights), **start},
            "training": {
                "samples": data.samples,
                "steps": timetable.total_steps,
                "steps_per_epoch": timetable.steps_per_epoch,
                "bn_frozen_from_step": timetable.freeze_bn_at,
                "resumed_from": [session["from_step"] for session in trainer.sessions[1:]],
                "sessions": trainer.sessions,
            },
            "seeds": {"run": run.seed, "initialisation": derive(run.seed, "init")},
            "settings": settings,
            "device": describe_device(ranks.device),
            "world_size": ranks.world,
            "peak_memory_bytes": peak_memory(ranks.device),
        },
    )


def _write_outputs(job: Job, store: CheckpointFolder, record: dict[str, Any], headline: str) -> None:
    copy_out(store.folder / WEIGHTS, Path(job.outputs["model"]), link=True)
    copy_out(store.folder / "log.csv", Path(job.outputs["log"]))
    copy_out(store.folder / "curve.csv", Path(job.outputs["curve"]))
    facts = record["facts"]
    loss, scores = last_values(store.folder)
    found = [f"loss {loss:.3g}", score_text(scores, [headline])]
    job.write_sidecar(
        facts["weights"]["content"], TRAINING_PACKAGES, ", ".join(part for part in found if part), **facts
    )


def _libraries() -> dict[str, str]:
    """Their versions."""
    found: dict[str, str] = describe_environment(TRAINING_PACKAGES)["packages"]
    return found


def _content(path: str | list[str]) -> Any:
    return [content_of(one) for one in path] if isinstance(path, list) else content_of(path)
