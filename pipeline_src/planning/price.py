"""What the jobs to run will cost, before they run: device hours by study, bytes to fetch, memory.

Hours rest on paces (`paces.py`); where a network has none, its trainings are counted and said to be
unknown rather than guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod

from pipeline_src.config.experiments import Run, Scoring
from pipeline_src.config.resolve import expand_path
from pipeline_src.config.sources import FolderSource, ScenesSource
from pipeline_src.data.archives import load_archives, load_weights
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.data.set_sizes import images_of, published_sizes
from pipeline_src.errors import InputError
from pipeline_src.options import to_json
from pipeline_src.planning.freshness import Status
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.paces import CPU, TRAININGS, Pace, Paces, cost_key, training_key
from pipeline_src.planning.planned_job import Key
from pipeline_src.planning.steps import EVALUATE, FETCH, MANIFEST, TRAIN, WEIGHTS
from pipeline_src.training.timetable import Timetable


@dataclass
class StudyPrice:
    """What is to be done for a study.

    `seconds` are device seconds of those trainings, with their evaluations, whose pace is known: `known` of
    `trainings`. `sources` are where the paces are from, on which devices; `memory` the most bytes on a GPU.
    """

    trainings: int = 0
    known: int = 0
    seconds: float = 0.0
    steps: int = 0
    sources: set[tuple[str, str]] = field(default_factory=set)
    memory: int | None = None


@dataclass(frozen=True)
class Download:
    """Files to fetch: their number, the bytes that are known, and how many are of unknown size."""

    files: int
    bytes: int
    unknown: int


@dataclass(frozen=True)
class Price:
    """The price of what is to run.

    `without_pace` are the architectures without a pace, by the key of their measured work.
    """

    studies: dict[str, StudyPrice]
    download: Download
    without_pace: dict[str, str]

    @property
    def trainings(self) -> int:
        """Trainings to run."""
        return sum(study.trainings for study in self.studies.values())

    @property
    def known(self) -> int:
        """How many of them have a pace."""
        return sum(study.known for study in self.studies.values())

    @property
    def seconds(self) -> float:
        """Device seconds of those."""
        return sum(study.seconds for study in self.studies.values())


class Pricing:
    """Puts a price on the jobs of a plan that are to run.

    `on_gpu`: the trainings will run on GPUs, so that paces of CPUs say nothing.
    """

    def __init__(
        self, graph: GraphBuilder, statuses: Mapping[Key, Status], paces: Paces, on_gpu: bool
    ) -> None:
        self.graph, self.params, self.statuses = graph, graph.params, statuses
        self.paces, self.on_gpu = paces, on_gpu
        self._architectures = {
            name: row.architecture
            for rows in graph.experiments.rows.values()
            for row in rows
            if row.architecture is not None
            for name in row.runs
        }
        self._costs = {
            name: cost_key(one.model, one.setting) for name, one in graph.experiments.architectures.items()
        }
        self._samples: dict[tuple[str, str], int | None] = {}
        self._sizes = published_sizes()

    def price(self) -> Price:
        """The whole price; a training counts for the study that plans it first."""
        studies: dict[str, StudyPrice] = {}
        without: dict[str, str] = {}
        scorings: dict[str, list[Scoring]] = {}
        for scoring in self.graph.experiments.scorings.values():
            scorings.setdefault(scoring.run, []).append(scoring)
        for run in self.graph.experiments.runs.values():
            if not self._to_run(TRAIN.name, run.name):
                continue
            study = studies.setdefault(run.study, StudyPrice())
            study.trainings += 1
            pace, steps = self._pace(run), self._steps(run)
            study.steps += steps or 0
            if pace is None and (architecture := self._architectures.get(run.name)) is not None:
                without.setdefault(self._costs[architecture], architecture)
            if pace is None or steps is None:
                continue
            study.known += 1
            study.seconds += pace.step * steps + self._looking(run, pace, steps, scorings.get(run.name, []))
            study.sources.add((pace.source, pace.device))
            if pace.memory is not None:
                study.memory = max(study.memory or 0, pace.memory)
        return Price(studies, self._download(), without)

    def _pace(self, run: Run) -> Pace | None:
        """Of a step of the run's batch; a step that was measured on other images counts by their pixels."""
        architecture = self._architectures.get(run.name)
        params = {"model": run.model, "recipe": to_json(run.recipe)}
        pace = self.paces.of(
            training_key(params), None if architecture is None else self._costs[architecture]
        )
        if pace is None or (self.on_gpu and pace.device.startswith(CPU)):
            return None
        if pace.source == TRAININGS or architecture is None:
            return pace
        setting = self.graph.experiments.architectures[architecture].setting
        pixels = prod(run.recipe.augment.size) / prod(setting["crop"])
        factor = run.recipe.batch / setting["batch"] * pixels
        forward = None if pace.forward is None else pace.forward * pixels
        return replace(pace, step=pace.step * factor, forward=forward)

    def _steps(self, run: Run) -> int | None:
        """Optimiser steps of a training; None where its length hangs on an unknown number of images."""
        if run.recipe.iterations is not None:
            return run.recipe.iterations
        samples = self.samples(run.dataset, "train")
        return None if samples is None else Timetable.of(run.recipe, samples).total_steps

    def _looking(self, run: Run, pace: Pace, steps: int, scorings: list[Scoring]) -> float:
        """Seconds of validations and evaluations, from the pace of a forward pass; 0 where it is unknown."""
        images = self.samples(run.dataset, "val")
        if pace.forward is None or images is None:
            return 0.0
        every = run.recipe.validate_every
        train = self.samples(run.dataset, "train")
        rounds = 0
        if every is not None and (every.iterations or train):
            interval = every.iterations or Timetable.of(run.recipe, train or 0).validate_every
            rounds = -(-steps // interval) if interval else 0
        tests = sum(
            len(scoring.evaluation.scales or [0])
            for scoring in scorings
            if self._to_run(EVALUATE.name, scoring.name)
        )
        return pace.forward * images * (rounds + tests)

    def samples(self, dataset: str, split: str) -> int | None:
        """About how many images a split has: as its manifest says, or before there is one as can be told."""
        if (dataset, split) not in self._samples:
            self._samples[dataset, split] = self._count(dataset, split)
        return self._samples[dataset, split]

    def _count(self, key: str, split: str) -> int | None:
        try:
            manifest = Manifest.load(self.graph.plan.path(MANIFEST, "sidecar", key))
            return int(manifest.splits[split]["images"])
        except (InputError, KeyError, TypeError, ValueError):
            pass
        dataset = self.params.datasets[key]
        if split not in dataset.splits:
            return None
        data, _ = dataset.described(key)
        spec = data.splits[split]
        if isinstance(dataset.source, ScenesSource):
            drawn = dataset.source.images
            return (
                drawn.get("val") if split == "val" else sum(n for name, n in drawn.items() if name != "val")
            )
        if isinstance(dataset.source, FolderSource):
            try:
                root = expand_path(dataset.source.root)
                return len(dataset.reader.read([root], split, {"classes": data.classes, **spec}).records)
            except InputError:
                return None
        return images_of(dataset.format, spec, self._sizes)

    def _download(self) -> Download:
        archives, weights = load_archives(), load_weights()
        sizes = [archives[job.name].bytes for job in self.graph.plan.of(FETCH.name) if self._to_run(*job.key)]
        for job in self.graph.plan.of(WEIGHTS.name):
            if self._to_run(*job.key) and "urls" in job.params:
                row = weights.get(str(job.params["name"]))
                sizes.append(None if row is None else row.bytes)
        known = [size for size in sizes if size is not None]
        return Download(len(sizes), sum(known), len(sizes) - len(known))

    def _to_run(self, step: str, name: str) -> bool:
        status = self.statuses.get((step, name))
        return status is not None and status.to_run
