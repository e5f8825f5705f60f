"""The experiments become jobs: data, weights, trainings, evaluations and costs.

What summarises them (tables, figures, the report) is added by `planning/summaries.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.config.data import ArchivesSource, FolderSource, MaskSplit, ScenesSource, VocSplit
from pipeline_src.config.expand import Architecture, Experiments, Run, expand
from pipeline_src.config.model import WeightsFile
from pipeline_src.config.resolve import (
    dataset_classes,
    expand_path,
    model_components,
    scenes_name,
)
from pipeline_src.config.study import Params
from pipeline_src.data.accepted import weights_row
from pipeline_src.data.archives import DIGEST_LENGTH, load_archives, load_weights
from pipeline_src.data.fingerprint import cache_path
from pipeline_src.data.folder_state import folder_state
from pipeline_src.data.index import IGNORE_INDEX, Manifest
from pipeline_src.errors import InputError
from pipeline_src.planning.jobs import Plan, PlannedJob

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
        self.experiments: Experiments = expand(params)
        self.plan = Plan(params.scale)
        self.paths = Paths(params.scale)

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
        dataset = self.params.datasets[key]
        spec: dict[str, Any] = {
            "dataset": key,
            "format": dataset.format,
            "splits": {name: _split_params(split) for name, split in dataset.splits.items()},
            "num_classes": len(dataset_classes(dataset)),
            "classes": dataset_classes(dataset),
            "ignore_index": dataset.ignore_index,
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
        inputs = self._data_inputs(run.dataset)
        weights = self.weights(run.backbone)
        if weights is not None:
            inputs["weights"] = weights.sidecar
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
                components=tuple(model_components(run.model)),
                threads=compute.threads,
                gpu=True,
            )
        )

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
                    "evaluation": {**self.params.evaluation.model_dump(), "split": "val"},
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


def _split_params(split: VocSplit | MaskSplit) -> dict[str, Any]:
    return {key: value for key, value in split.model_dump().items() if value is not None}


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
