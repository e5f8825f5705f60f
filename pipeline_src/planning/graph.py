"""The experiments become jobs: data, weights, trainings, evaluations and costs.

What summarises them (tables, figures, the report) is added by `planning/summaries.py`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline_src.config.data import ArchivesSource, FolderSource, ScenesSource, Split
from pipeline_src.config.expand import Architecture, Experiments, Run, expand
from pipeline_src.config.model import WeightsFile
from pipeline_src.config.resolve import (
    expand_path,
    label_params,
    model_components,
    scenes_name,
)
from pipeline_src.config.study import Params
from pipeline_src.data.accepted import weights_row
from pipeline_src.data.archives import DIGEST_LENGTH, load_archives, load_weights
from pipeline_src.data.fingerprint import cache_path
from pipeline_src.data.folder_state import folder_state
from pipeline_src.data.index import IGNORE_INDEX, Manifest
from pipeline_src.data.logins import missing_logins
from pipeline_src.errors import InputError
from pipeline_src.models.fusion.equalizer_rules import CALIBRATED_FORMS
from pipeline_src.planning.jobs import Plan, PlannedJob
from pipeline_src.reporting.status import NO_DATA

PROBED_BATCHES = 4
"""Batches of training images on which the start of a training is looked at, for figures."""

HOW_TO_FETCH = ("urls", "login", "bytes", *DIGEST_LENGTH)
"""What of a table's row says where a file is and how it is checked; name and file identify it."""


@dataclass(frozen=True)
class Paths:
    """Where everything of one scale is written."""

    scale: str

    def results(self, *parts: str) -> str:
        """A path below `results/<scale>/`."""
        return "/".join(("results", self.scale, *parts))

    def run(self, run: str, file: str) -> str:
        """A file of a run."""
        return self.results("runs", run, file)

    def cost(self, architecture: str, file: str) -> str:
        """A file of an architecture's cost."""
        return self.results("cost", architecture, file)

    def manifest(self, dataset: str) -> str:
        """The manifest of a data set."""
        return self.results("data", dataset, "manifest.json")


class GraphBuilder:
    """Adds the jobs of all selected studies to a plan, each job once.

    `look` decides whether users' folders are looked at: the process that plans does, the processes
    in which jobs run do not.
    """

    def __init__(self, params: Params, look: bool = True) -> None:
        self.params = params
        self.look = look
        self.experiments: Experiments = without_missing_data(params, expand(params))
        self.plan = Plan(params.scale)
        self.paths = Paths(params.scale)
        self._manifests: dict[str, PlannedJob] = {}

    def build(self) -> Plan:
        """Plan everything up to the metrics and costs of every row."""
        for run in self.experiments.runs.values():
            self.evaluation(run)
        for architecture in self.experiments.architectures.values():
            self.cost(architecture)
        return self.plan

    # --- data ---------------------------------------------------------------------------------

    def manifest(self, key: str) -> PlannedJob:
        """The job that checks and describes a data set, with the jobs that bring it here."""
        if key not in self._manifests:
            self._manifests[key] = self._new_manifest(key)
        return self._manifests[key]

    def _new_manifest(self, key: str) -> PlannedJob:
        dataset = self.params.datasets[key]
        spec: dict[str, Any] = {
            "dataset": key,
            "format": dataset.format,
            "splits": {name: _split_params(split) for name, split in dataset.splits.items()},
            **label_params(dataset),
        }
        suffix = getattr(dataset, "mask_suffix", "")
        if suffix:
            for split in spec["splits"].values():
                split["mask_suffix"] = suffix
        inputs: dict[str, str | list[str]] = {}
        note = ""
        if isinstance(dataset.source, FolderSource):
            folder, note = self._folder(key, dataset.source, spec)
            spec.update(folder)
        elif isinstance(dataset.source, ScenesSource):
            inputs["sources"] = [self.scenes(key, dataset.source, dataset.format).sidecar]
        else:
            inputs["sources"] = [self.extraction(name).sidecar for name in _archives(key, dataset.source)]
        return self.plan.add(
            PlannedJob(
                step="manifest",
                name=key,
                scale=self.params.scale,
                params=spec,
                inputs=inputs,
                outputs={
                    "sidecar": self.paths.manifest(key),
                    "index": self.paths.results("data", key, "index.json"),
                },
                components=(f"reader.{dataset.format}",),
                note=note,
            )
        )

    def _folder(self, key: str, source: FolderSource, spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Root and fingerprint of a user's folder, and what changed in it.

        A folder that was merely touched keeps the old fingerprint.
        """
        try:
            root = expand_path(source.root)
        except InputError as error:
            raise InputError(f"datasets.{key}.source.root: {error}") from None
        if not self.look:
            return {"root": str(root), "fingerprint": None}, ""
        manifest = Path(self.paths.manifest(key))
        try:
            state = folder_state(spec["format"], root, spec["splits"], manifest, cache_path(key))
        except InputError as error:
            raise InputError(f"datasets.{key}.source.root ({source.root}): {error}") from None
        fingerprint = Manifest.load(manifest).fingerprint if state.current else state.fingerprint
        note = state.explain() if state.state == "changed" else ""
        return {"root": str(root), "fingerprint": fingerprint}, note

    def scenes(self, key: str, source: ScenesSource, layout: str) -> PlannedJob:
        """The job that draws a data set."""
        drawn = source.model_dump(exclude={"kind"})
        return self.plan.add(
            PlannedJob(
                step="scenes",
                name=scenes_name(key, source, layout),
                scale=self.params.scale,
                params={"layout": layout, **drawn},
                outputs={"sidecar": f"data/scenes/{scenes_name(key, source, layout)}.json"},
                components=(f"scenes.{layout}",),
            )
        )

    def extraction(self, archive: str) -> PlannedJob:
        """The jobs that fetch and extract an archive."""
        fetch = self.plan.add(
            PlannedJob(
                step="fetch",
                name=archive,
                scale=self.params.scale,
                params=load_archives()[archive].params(),
                outputs={"sidecar": f"data/archives/{archive}.json"},
                loose=HOW_TO_FETCH,
            )
        )
        return self.plan.add(
            PlannedJob(
                step="extract",
                name=archive,
                scale=self.params.scale,
                params={"archive": archive} | ({"convert": "sbd_to_png"} if archive == "sbd" else {}),
                inputs={"archive": fetch.sidecar},
                outputs={"sidecar": f"data/extracted/{archive}.json"},
            )
        )

    def weights(self, backbone_key: str) -> PlannedJob | None:
        """The job that brings a backbone's pretrained weights here; None for random initialisation."""
        backbone = self.params.backbones[backbone_key]
        if backbone.weights == "none":
            return None
        loose: tuple[str, ...] = ()
        if isinstance(backbone.weights, WeightsFile):
            own = backbone.weights
            try:
                file = expand_path(own.file)
            except InputError as error:
                raise InputError(f"backbones.{backbone_key}.weights.file: {error}") from None
            name = f"file-{own.sha256[:12]}"
            params = {"file": str(file), "sha256": own.sha256, "source": own.source}
        else:
            if backbone.timm not in load_weights():
                raise InputError(
                    f"backbones.{backbone_key}: data/weights.csv has no row for {backbone.timm}; add one, "
                    "or set weights: none or weights: {file: ...}"
                )
            name, params = backbone.timm, weights_row(backbone.timm).params() | {"model": backbone.timm}
            loose = HOW_TO_FETCH
        return self.plan.add(
            PlannedJob(
                step="weights",
                name=name,
                scale=self.params.scale,
                params=params,
                outputs={"sidecar": f"data/weights/{name}.json"},
                loose=loose,
            )
        )

    def _data_inputs(self, key: str) -> dict[str, str | list[str]]:
        """The manifest of a data set and, so that its files are here, the records of what brings them."""
        manifest = self.manifest(key)
        return {"manifest": manifest.sidecar, **manifest.inputs}

    # --- networks -----------------------------------------------------------------------------

    def training(self, run: Run) -> PlannedJob:
        """The job that trains a run."""
        compute = self.params.compute
        inputs = self._initial_inputs(run)
        components = model_components(run.model)
        calibration = self.calibration(run)
        if calibration is not None:
            inputs["statistics"] = calibration.outputs["statistics"]
            components.append("equalizer.statistics")
        return self.plan.add(
            PlannedJob(
                step="train",
                name=run.name,
                scale=self.params.scale,
                params={
                    "data": _data_params(run),
                    "model": run.model,
                    "recipe": run.recipe,
                    "seed": run.seed,
                    "threads": compute.threads,
                    "deterministic": compute.deterministic,
                },
                inputs=inputs,
                outputs={
                    "sidecar": self.paths.run(run.name, "train.json"),
                    "model": self.paths.run(run.name, "model.safetensors"),
                    "log": self.paths.run(run.name, "log.csv"),
                    "curve": self.paths.run(run.name, "curve.csv"),
                },
                components=tuple(components),
                threads=compute.threads,
                gpu=True,
            )
        )

    def calibration(self, run: Run) -> PlannedJob | None:
        """The job that measures what a run's scale equalizers need; None where they need nothing."""
        equalizer = run.model["equalizer"]
        if equalizer is None or equalizer["form"] not in CALIBRATED_FORMS:
            return None
        return self.plan.add(
            PlannedJob(
                step="calibrate",
                name=run.name,
                scale=self.params.scale,
                params=self._initial_params(run, ("batch", "accumulate", "augment", "freeze_bn_at_epoch")),
                inputs=self._initial_inputs(run),
                outputs={
                    "sidecar": self.paths.run(run.name, "calibrate.json"),
                    "statistics": self.paths.run(run.name, "statistics.json"),
                },
                components=tuple(model_components(run.model)),
                threads=self.params.compute.threads,
                gpu=True,
            )
        )

    def probe(self, run: Run) -> PlannedJob | None:
        """The job that compares a run's network at its start without and with equalizers; None without."""
        calibration = self.calibration(run)
        if calibration is None:
            return None
        keys = ("batch", "accumulate", "augment", "freeze_bn_at_epoch", "loss")
        return self.plan.add(
            PlannedJob(
                step="probe",
                name=run.name,
                scale=self.params.scale,
                params={**self._initial_params(run, keys), "batches": PROBED_BATCHES},
                inputs={**self._initial_inputs(run), "statistics": calibration.outputs["statistics"]},
                outputs={
                    "sidecar": self.paths.results("figures", "probes", run.name, "sidecar.json"),
                    "probe": self.paths.results("figures", "probes", run.name, "probe.json"),
                },
                components=tuple(model_components(run.model)),
                threads=self.params.compute.threads,
                gpu=True,
            )
        )

    def _initial_params(self, run: Run, recipe_keys: tuple[str, ...]) -> dict[str, Any]:
        """What the jobs of a run before its first step have in common."""
        return {
            "data": _data_params(run),
            "model": run.model,
            "recipe": {key: run.recipe[key] for key in recipe_keys},
            "seed": run.seed,
            "threads": self.params.compute.threads,
            "deterministic": self.params.compute.deterministic,
        }

    def _initial_inputs(self, run: Run) -> dict[str, str | list[str]]:
        weights = self.weights(run.backbone)
        return self._data_inputs(run.dataset) | ({} if weights is None else {"weights": weights.sidecar})

    def evaluation(self, run: Run) -> PlannedJob:
        """The job that evaluates a run, with its training."""
        compute = self.params.compute
        training = self.training(run)
        return self.plan.add(
            PlannedJob(
                step="evaluate",
                name=run.name,
                scale=self.params.scale,
                params={
                    "data": _data_params(run),
                    "model": run.model,
                    "evaluation": {**run.evaluation, "split": "val"},
                    "threads": compute.threads,
                    "deterministic": compute.deterministic,
                },
                inputs={**self._data_inputs(run.dataset), "train": training.sidecar},
                outputs={
                    "sidecar": self.paths.run(run.name, "evaluate.json"),
                    "metrics": self.paths.run(run.name, "metrics.json"),
                    "overlays": self.paths.run(run.name, "overlays"),
                },
                components=tuple(model_components(run.model)),
                threads=compute.threads,
                gpu=True,
            )
        )

    def cost(self, architecture: Architecture) -> PlannedJob:
        """The job that measures an architecture."""
        cost = self.params.cost
        return self.plan.add(
            PlannedJob(
                step="cost",
                name=architecture.name,
                scale=self.params.scale,
                params={
                    "model": architecture.model,
                    **architecture.setting,
                    "threads": cost.threads,
                    "repeats": cost.repeats,
                    "warmup": cost.warmup,
                },
                outputs={
                    "sidecar": self.paths.cost(architecture.name, "sidecar.json"),
                    "cost": self.paths.cost(architecture.name, "cost.json"),
                    "timing": self.paths.cost(architecture.name, "timing.json"),
                },
                components=tuple(model_components(architecture.model)),
                threads=cost.threads,
                gpu=True,
            )
        )


def _split_params(split: Split) -> dict[str, Any]:
    return {key: value for key, value in split.model_dump().items() if value is not None}


def without_missing_data(params: Params, experiments: Experiments) -> Experiments:
    """The experiments without the runs whose data need a login and are not here; their rows say so."""
    lacking: dict[str, str] = {}
    for key in {run.dataset for run in experiments.runs.values()}:
        source = params.datasets[key].source
        if isinstance(source, ArchivesSource) and (
            missing := missing_logins(_archives(key, source), params.mirror)
        ):
            files = " and ".join(archive.file for archive in missing)
            lacking[key] = f"{files} need a login and are not here; docs/data.md says where they go"
    if not lacking:
        return experiments
    return Experiments(
        {name: run for name, run in experiments.runs.items() if run.dataset not in lacking},
        {
            key: [
                replace(row, runs=(), seeds=(), status=NO_DATA, reason=lacking[row.dataset])
                if row.dataset in lacking
                else row
                for row in rows
            ]
            for key, rows in experiments.rows.items()
        },
        experiments.architectures,
    )


def _data_params(run: Run) -> dict[str, Any]:
    return {"num_classes": run.model["num_classes"], "ignore_index": IGNORE_INDEX}


def _archives(key: str, source: ArchivesSource) -> list[str]:
    known = load_archives()
    for name in source.names:
        if name not in known:
            raise InputError(
                f"datasets.{key}.source.names: {name!r} is not in data/archives.csv; use {', '.join(known)}"
            )
    return source.names
