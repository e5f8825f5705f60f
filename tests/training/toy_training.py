"""A training small enough for tests: a model with BN and dropout, random images, and real job files."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo
from torch import nn
from torch.utils.data import DataLoader, Dataset

from pipeline_src.options import from_json
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.segmentation.objective import SegmentationObjective
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.loader_workers import GuardedDataset
from pipeline_src.training.loss_options import Loss
from pipeline_src.training.recipe import Recipe
from pipeline_src.training.seeding import derive
from pipeline_src.training.stopping import SaveInterval
from pipeline_src.training.training_job import Data, Options, Parts, train_job
from tests.jobs import write_job_file

CLASSES = 3
SAMPLES = 11
SIZE = (9, 7)

# Processes are forked from a server that has imported torch once, instead of importing it each.
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.training.rank_functions", "tests.training.real_training"])

SGD = {"kind": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": False}
ADAMW = {"kind": "adamw", "lr": 0.01, "betas": [0.9, 0.999], "weight_decay": 0.01}


def recipe(**changes: Any) -> dict[str, Any]:
    """A resolved recipe: 2 epochs of 2 steps on the toy data."""
    return {
        "optimizer": SGD,
        "schedule": {"kind": "linear_epoch", "compound": False},
        "warmup": None,
        "epochs": 2,
        "iterations": None,
        "batch": 4,
        "accumulate": 1,
        "freeze_bn_at_epoch": None,
        "loss": {"reduction": "labelled_pixels"},
        "augment": {"resize": None, "crop": list(SIZE), "flip": 0.5},
        "amp": "none",
        "clip_grad_norm": None,
        "validate_every": None,
        "drop_last": True,
        **changes,
    }


def read_recipe(**changes: Any) -> Recipe:
    """The same, as the training reads it."""
    return from_json(Recipe, recipe(**changes), part=True)


class ToyModel(nn.Module):
    """conv, BN, ReLU, dropout, conv: logits of the input's size."""

    def __init__(self, dropout: float = 0.2, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1, bias=not norm)
        self.bn = nn.BatchNorm2d(6) if norm else nn.Identity()
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(6, CLASSES, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(torch.relu(self.bn(self.conv(images)))))


class ToySamples(Dataset):
    """Images and masks as a function of (seed, epoch, index), some pixels without a label."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, index = key
        fixed, augment = np.random.default_rng(index), np.random.default_rng(derive(self.seed, epoch, index))
        image = fixed.normal(size=(3, *SIZE)).astype(np.float32)
        mask = image.argmax(axis=0)
        mask[fixed.random(SIZE) < 0.2 * index / SAMPLES] = 255
        image += augment.normal(scale=0.1, size=image.shape).astype(np.float32)
        return torch.from_numpy(image), torch.from_numpy(mask)


def toy_batches(
    seed: int, recipe: dict[str, Any], first: int, total: int, ranks: Ranks, workers: int
) -> DataLoader:
    """This rank's batches of the steps from `first` on."""
    batch = recipe["batch"]
    per_epoch = SAMPLES // batch
    keys = []
    for step in range(first, total):
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng(derive(seed, "order", epoch)).permutation(SAMPLES)
        whole = order[position * batch : (position + 1) * batch]
        keys.append([(epoch, int(index)) for index in np.array_split(whole, ranks.world)[ranks.rank]])
    return DataLoader(GuardedDataset(ToySamples(seed)), batch_sampler=keys, num_workers=workers)


def toy_scores(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Pixel accuracy on the unaugmented samples, with the model in evaluation mode."""
    model.eval()
    correct = labelled = 0
    with torch.no_grad():
        for index in range(SAMPLES):
            image, mask = ToySamples(0)[0, index]
            prediction = model(image[None].to(device))[0].argmax(0).cpu()
            correct += int((prediction == mask).sum())
            labelled += int((mask != 255).sum())
    return {"miou": 0.5, "pixel_accuracy": correct / labelled}


def toy_parts(
    wrap: Callable[[int, Iterator[Any]], Iterator[Any]] | None = None, dropout: float = 0.2
) -> Parts:
    """The toy model and data; `wrap(first step, batches)` may watch or disturb the batches."""

    def open_data(job: Job, ranks: Ranks, workers: int) -> Data:
        seed, toy_recipe = job.params["seed"], job.params["recipe"]

        def batches(first: int, total: int) -> Iterator[Any]:
            loader = iter(toy_batches(seed, toy_recipe, first, total, ranks, workers))
            return wrap(first, loader) if wrap else loader

        objective = SegmentationObjective(
            from_json(Loss, toy_recipe["loss"]), job.params["data"]["ignore_index"]
        )
        return Data(SAMPLES, batches, lambda model: toy_scores(model, ranks.device), objective)

    def build(model: dict[str, Any], weights: str | None) -> nn.Module:
        return ToyModel(dropout, model.get("norm", True))

    return Parts(build, open_data)


def write_job(folder: Path, digest: str = "d" * 64, seed: int = 3, **changes: Any) -> Path:
    """A train job file and its input under `folder`; every path in it is absolute."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.json"
    if not manifest.exists():
        manifest.write_text(json.dumps({"content": "data-1"}))
    out = folder / "results"
    inputs = {"manifest": str(manifest), **changes.pop("inputs", {})}
    model = {
        "task": "segmentation",
        "num_classes": CLASSES,
        "backbone": {"output_stride": 1},
        "pyramid": None,
        "decoder": {"kind": "fcn"},
        **changes.pop("model", {}),
    }
    job = {
        "step": "train",
        "name": "toy/seed-3",
        "scale": "demo",
        "params": {
            "data": {"num_classes": CLASSES, "ignore_index": 255},
            "model": model,
            "recipe": recipe(**changes),
            "seed": seed,
            "threads": 1,
            "deterministic": True,
        },
        "inputs": inputs,
        "outputs": {
            "sidecar": str(out / "train.json"),
            "model": str(out / "model.safetensors"),
            "log": str(out / "log.csv"),
            "curve": str(out / "curve.csv"),
        },
        "digest": digest,
    }
    return write_job_file(folder, **job)


def train(
    job: Path, parts: Parts | None = None, *, save_steps: int = 2, workers: int = 0, work: Path | None = None
) -> None:
    """Run a job in this process, on the CPU."""
    loaded = Job.load(job)
    interval = SaveInterval(steps=save_steps)
    train_job(loaded, parts or toy_parts(), Options(workers, "cpu", work or job.parent / "work", interval))


def sidecar(job: Path) -> dict[str, Any]:
    """What a finished job says about itself."""
    return json.loads((job.parent / "results" / "train.json").read_text())


def run_ranks(function: Callable[..., Any], world: int, *arguments: Any) -> list[Any]:
    """Call `function(*arguments)` in `world` processes that find each other as under torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    results = PROCESSES.SimpleQueue()
    processes = [
        PROCESSES.Process(target=_as_rank, args=(function, arguments, rank, world, port, results))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    answers: dict[int, Any] = {}
    while len(answers) < world:
        if not results.empty():
            rank, answer = results.get()
            answers[rank] = answer
        elif any(process.exitcode for process in processes):
            break
        time.sleep(0.01)
    for rank, process in enumerate(processes):
        if rank not in answers:  # one died, and the others would wait for it
            process.kill()
            answers[rank] = RuntimeError(f"rank {rank} gave no answer; it ended with {process.exitcode}")
        process.join()
    failures = [answer for answer in answers.values() if isinstance(answer, Exception)]
    if failures:
        raise failures[0]
    return [answers[rank] for rank in range(world)]


def _as_rank(
    function: Callable[..., Any], arguments: tuple[Any, ...], rank: int, world: int, port: int, results: Any
) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    try:
        results.put((rank, function(*arguments)))
    except Exception as error:
        results.put((rank, RuntimeError(f"rank {rank}: {type(error).__name__}: {error}")))
