"""The jobs that bring data and weights here: scenes, archives, manifests, pretrained weights."""

from dataclasses import replace
from pathlib import Path

from pipeline_src.config.data import Dataset
from pipeline_src.config.experiments import Experiments
from pipeline_src.config.model import WeightsFile
from pipeline_src.config.resolve import expand_path, scenes_name
from pipeline_src.config.sources import ArchivesSource, FolderSource, ScenesSource
from pipeline_src.config.study import Params
from pipeline_src.data.accepted_checksums import weights_row
from pipeline_src.data.archives import DIGEST_LENGTH, conversion_component, load_archives, load_weights
from pipeline_src.data.fetch_params import DescribeData, DrawScenes, ExtractArchive, OwnWeights
from pipeline_src.data.fingerprint import cache_path
from pipeline_src.data.folder_state import folder_state
from pipeline_src.data.logins import missing_logins
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.errors import InputError
from pipeline_src.options import to_json
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.planning.steps import EXTRACT, FETCH, MANIFEST, SCENES, WEIGHTS
from pipeline_src.reporting.row_status import NO_DATA

HOW_TO_FETCH = ("urls", "login", "bytes", *DIGEST_LENGTH)
"""What of a table's row says where a file is and how it is checked; name and file identify it."""


class DataJobs:
    """Adds to a plan the jobs of data sets and weights, each once. See `GraphBuilder` for `read_folders`."""

    def __init__(self, params: Params, plan: Plan, read_folders: bool = True) -> None:
        self.params = params
        self.plan = plan
        self.read_folders = read_folders
        self._manifests: dict[str, PlannedJob] = {}
        self._weights: dict[str, PlannedJob | None] = {}

    def manifest(self, key: str) -> PlannedJob:
        """The job that checks and describes a data set, with the jobs that bring it here."""
        if key not in self._manifests:
            self._manifests[key] = self._new_manifest(key)
        return self._manifests[key]

    def _new_manifest(self, key: str) -> PlannedJob:
        dataset = self.params.datasets[key]
        data, labels = dataset.described(key)
        inputs: dict[str, str | list[str]] = {}
        note = ""
        if isinstance(dataset.source, FolderSource):
            data, note = self._folder(key, dataset, data)
        elif isinstance(dataset.source, ScenesSource):
            inputs["sources"] = [self.scenes(key, dataset.source, str(dataset.reader.scene_layout)).sidecar]
        else:
            inputs["sources"] = [self.extraction(name).sidecar for name in _archives(self.params, key)]
        return self.plan.create(
            MANIFEST,
            key,
            params=to_json(data) | labels,
            inputs=inputs,
            components=self.params.spelled((f"reader.{dataset.format}", f"manifest.{dataset.reader.task}")),
            note=note,
        )

    def _folder(self, key: str, dataset: Dataset, data: DescribeData) -> tuple[DescribeData, str]:
        """`data` with root and fingerprint of a user's folder, and what changed in it.

        A folder that was merely touched keeps the old fingerprint.
        """
        try:
            root = expand_path(dataset.source.root)
        except InputError as error:
            raise self.params.wrong(["datasets", key, "source", "root"], str(error)) from None
        if not self.read_folders:
            return replace(data, root=str(root)), ""
        manifest = Path(self.plan.path(MANIFEST, "sidecar", key))
        try:
            state = folder_state(dataset.reader, root, data.splits, manifest, cache_path(key))
        except InputError as error:
            found = f"{dataset.source.root}: {error}"
            raise self.params.wrong(["datasets", key, "source", "root"], found) from None
        fingerprint = Manifest.load(manifest).fingerprint if state.current else state.fingerprint
        note = state.explain() if state.state == "changed" else ""
        return replace(data, root=str(root), fingerprint=fingerprint), note

    def scenes(self, key: str, source: ScenesSource, layout: str) -> PlannedJob:
        """The job that draws a data set."""
        drawn = source.model_dump(exclude={"kind"})
        return self.plan.create(
            SCENES,
            scenes_name(key, source, layout),
            params=to_json(DrawScenes(layout=layout, **drawn)),
            components=(f"scenes.{layout}",),
        )

    def extraction(self, archive: str) -> PlannedJob:
        """The jobs that fetch and extract an archive."""
        row = load_archives()[archive]
        fetch = self.plan.create(FETCH, archive, params=row.params(), not_identifying=HOW_TO_FETCH)
        return self.plan.create(
            EXTRACT,
            archive,
            params=to_json(ExtractArchive(archive=archive, convert=row.convert)),
            inputs={"archive": fetch.sidecar},
            components=(conversion_component(row.convert),) if row.convert else (),
        )

    def weights(self, backbone_key: str) -> PlannedJob | None:
        """The job that brings a backbone's pretrained weights here; None for random initialisation."""
        if backbone_key not in self._weights:
            self._weights[backbone_key] = self._new_weights(backbone_key)
        return self._weights[backbone_key]

    def _new_weights(self, backbone_key: str) -> PlannedJob | None:
        backbone = self.params.backbones[backbone_key]
        if backbone.weights == "none":
            return None
        not_identifying: tuple[str, ...] = ()
        if isinstance(backbone.weights, WeightsFile):
            own = backbone.weights
            try:
                file = expand_path(own.file)
            except InputError as error:
                raise self.params.wrong(["backbones", backbone_key, "weights", "file"], str(error)) from None
            name = f"file-{own.sha256[:12]}"
            params = to_json(OwnWeights(file=str(file), sha256=own.sha256, source=own.source))
        else:
            if backbone.timm not in load_weights():
                raise self.params.wrong(
                    ["backbones", backbone_key],
                    f"data/weights.csv has no row for {backbone.timm}; add one, "
                    "or set weights: none or weights: {file: ...}",
                )
            name, params = backbone.timm, weights_row(backbone.timm).params() | {"model": backbone.timm}
            not_identifying = HOW_TO_FETCH
        return self.plan.create(WEIGHTS, name, params=params, not_identifying=not_identifying)

    def inputs(self, key: str) -> dict[str, str | list[str]]:
        """The manifest of a data set and, so that its files are here, the records of what brings them."""
        manifest = self.manifest(key)
        return {"manifest": manifest.sidecar, **manifest.inputs}


def without_missing_data(params: Params, experiments: Experiments) -> Experiments:
    """The experiments without the runs whose data need a login and are not here; their rows say so."""
    lacking: dict[str, str] = {}
    for key in {run.dataset for run in experiments.runs.values()}:
        source = params.datasets[key].source
        if isinstance(source, ArchivesSource) and (
            missing := missing_logins(_archives(params, key), params.mirror)
        ):
            files = " and ".join(archive.file for archive in missing)
            lacking[key] = f"{files} need a login and are not here; docs/data.md says where they go"
    if not lacking:
        return experiments
    runs = experiments.runs

    def why(name: str) -> str | None:
        """What a run lacks, or one that it starts from."""
        before = runs[name].init_from
        return lacking.get(runs[name].dataset) or (None if before is None else why(before))

    absent = {name: reason for name in runs if (reason := why(name))}
    return Experiments(
        {name: run for name, run in runs.items() if name not in absent},
        {name: scoring for name, scoring in experiments.scorings.items() if scoring.run not in absent},
        {
            key: [
                replace(row, runs=(), scorings=(), seeds=(), status=NO_DATA, reason=absent[row.runs[0]])
                if row.runs and row.runs[0] in absent
                else row
                for row in rows
            ]
            for key, rows in experiments.rows.items()
        },
        experiments.architectures,
    )


def _archives(params: Params, key: str) -> list[str]:
    known = load_archives()
    names: list[str] = params.datasets[key].source.names
    for index, name in enumerate(names):
        if name not in known:
            place: list[str | int] = ["datasets", key, "source", "names", index]
            raise params.wrong(place, f"{name!r} is not in data/archives.csv; use {', '.join(known)}")
    return names
