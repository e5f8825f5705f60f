"""Gathers what the HTML page shows, from the files of a scale: plain values, ready to be printed."""

import os
import re
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_src.data.read_manifest import Counted
from pipeline_src.errors import InputError
from pipeline_src.files import read_json
from pipeline_src.options import from_json
from pipeline_src.reporting.by_class import ByClass, by_class
from pipeline_src.reporting.embed_pictures import embed_figure, embed_prediction
from pipeline_src.reporting.first_screen import first_screen
from pipeline_src.reporting.long_table import describe_device, read_tidy
from pipeline_src.reporting.metric import Metric
from pipeline_src.reporting.metric_table import METRICS
from pipeline_src.reporting.prediction_pictures import read_panels
from pipeline_src.reporting.report_params import ListedRun, Report, StudyPart
from pipeline_src.reporting.table import FinishedTable

Facts = list[tuple[str, str]]


class Page:
    """Everything on the page of one `report` job; `folder` is where the page will stand.

    Links to files are relative to that folder, pictures are data URIs, anchors are `run-...` and
    `cost-...`.
    """

    def __init__(self, params: Report, inputs: dict[str, Any], folder: Path):
        self.params = params
        self.folder = folder
        self._inputs = inputs
        self.tables: dict[str, tuple[FinishedTable, dict[str, Any]]] = {}
        for _, sidecar in self._read("tables"):
            table = from_json(FinishedTable, sidecar["table"])
            self.tables[table.name] = table, sidecar
        self.figures = {sidecar["figure"]["name"]: sidecar for _, sidecar in self._read("figures")}
        runs = [run.name for run in params.runs]
        self._train = self._by_name("train", runs)
        self._evaluate = self._by_name("evaluate", runs)
        self._cost = self._by_name("cost", params.architectures)

    def context(self) -> dict[str, Any]:
        """What the template prints."""
        runs = [self._run(run) for run in self.params.runs]
        return {
            "title": self.params.title,
            "scale": self.params.scale,
            "compared": self._compared(),
            "weights_none": self._weights_none(),
            "code_states": self._code_states(),
            "accepted": self._accepted(),
            "first": first_screen(
                (table, sidecar["job"]["params"].get("controls", {}))
                for table, sidecar in self.tables.values()
            ),
            "ideas": self.params.ideas,
            "classes": self._by_class(),
            "data_warnings": [
                (manifest["dataset"], warning)
                for _, manifest in self._read("manifests")
                for warning in manifest.get("warnings", [])
            ],
            "studies": [self._study(study) for study in self.params.studies],
            "runs": runs,
            "scores": [
                metric for name, metric in METRICS.items() if any(name in run["scores"] for run in runs)
            ],
            "costs": [self._architecture(name) for name in self.params.architectures],
            "datasets": [self._dataset(path, manifest) for path, manifest in self._read("manifests")],
            "assumptions": self.params.assumptions,
            "rules": self.params.rules,
            "environments": self._environments(),
        }

    # --- parts ------------------------------------------------------------------------------------

    def _study(self, study: StudyPart) -> dict[str, Any]:
        found = [self.tables[name] for name in study.tables]
        tables = [(table, self._output_links(sidecar)) for table, sidecar in found]
        figures = [
            {
                **self.figures[name]["figure"],
                "picture": embed_figure(self.figures[name]),
                "files": self._output_links(self.figures[name]),
            }
            for name in study.figures
        ]
        return {"key": study.study, "title": study.title, "tables": tables, "figures": figures}

    def _by_class(self) -> dict[str, ByClass]:
        """For tables without a paper whose rows are all tested on one data set: the scores by class."""
        found: dict[str, ByClass] = {}
        for name, (table, _) in self.tables.items():
            runs = [run for row in table.rows for run in row.runs]
            tested = {self._evaluate[run][1]["inputs"]["manifest"]["path"] for run in runs}
            if len(tested) != 1 or any(column.published for column in table.columns):
                continue
            manifest = read_json(tested.pop())
            split = manifest["splits"][self._evaluate[runs[0]][1].get("split", "val")]
            one = by_class(table, self._experiments, split, manifest["classes"])
            if one is not None:
                found[name] = one
        return found

    @cached_property
    def _experiments(self) -> pd.DataFrame:
        return read_tidy(self._paths("experiments"))

    def _run(self, run: ListedRun) -> dict[str, Any]:
        (train_path, train), (evaluate_path, evaluate) = self._train[run.name], self._evaluate[run.name]
        files = [("train.json", train_path), ("evaluate.json", evaluate_path)]
        for sidecar in (train, evaluate):
            files += [(Path(o["path"]).name, o["path"]) for o in sidecar.get("outputs", {}).values()]
        if "statistics" in train.get("inputs", {}):
            files.append(("statistics.json", train["inputs"]["statistics"]["path"]))
        # Names end in the seed: pictures of one seed are enough.
        siblings = [r.name for r in self.params.runs if _without_seed(r.name) == _without_seed(run.name)]
        shown = run.name == siblings[0] and evaluate["overlays"]["images"]
        return {
            "name": run.name,
            "anchor": anchor("run", run.name),
            "row": run.row,
            "seed": run.seed,
            "scores": {metric.name: text for metric, text in _scores(evaluate) if metric.headline},
            "facts": run_facts(train, evaluate),
            "links": [(name, self._link(path)) for name, path in files if not name.endswith(".safetensors")],
            "panels": [
                {"name": image["id"], "picture": embed_prediction(image["panel"])}
                for image in (read_panels(evaluate) if shown else [])
            ],
        }

    def _architecture(self, name: str) -> dict[str, Any]:
        path, sidecar = self._cost[name]
        facts = [
            ("device", describe_device(sidecar.get("device"))),
            *_job_facts(sidecar),
        ]
        files = [("sidecar.json", path)]
        files += [(Path(o["path"]).name, o["path"]) for o in sidecar.get("outputs", {}).values()]
        return {
            "name": name,
            "anchor": anchor("cost", name),
            "facts": [fact for fact in facts if fact[1]],
            "links": [(file, self._link(target)) for file, target in files],
        }

    def _dataset(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        splits = []
        for name, split in manifest["splits"].items():
            counted = from_json(Counted, split["counted"])
            total = sum(counted.by_class)
            splits.append(
                {
                    "name": name,
                    "images": split["images"],
                    "smallest": "x".join(map(str, split["smallest"])),
                    "largest": "x".join(map(str, split["largest"])),
                    "left_out": counted.left_out / max(1, total + counted.left_out),
                    "shares": [count / max(1, total) for count in counted.by_class],
                }
            )
        return {
            "name": manifest["dataset"],
            "format": manifest["format"],
            "content": manifest["content"],
            "classes": manifest["classes"][counted.first :],
            "counted": counted,
            "splits": splits,
            "warnings": manifest.get("warnings", []),
            "link": self._link(path),
        }

    def _environments(self) -> list[dict[str, Any]]:
        """Each set of interpreter, platform and packages that trainings ran in, with how many did."""
        seen: Counter[str] = Counter()
        facts: dict[str, Facts] = {}
        for _, sidecar in self._train.values():
            environment = sidecar.get("environment", {})
            packages = environment.get("packages", {})
            entry = [
                ("Python", str(environment.get("python", ""))),
                ("platform", str(environment.get("platform", ""))),
                *((name, str(version)) for name, version in packages.items()),
                ("device", describe_device(sidecar.get("device"))),
            ]
            seen[str(entry)] += 1
            facts[str(entry)] = [fact for fact in entry if fact[1]]
        return [{"runs": count, "facts": facts[key]} for key, count in seen.most_common()]

    def _code_states(self) -> list[dict[str, Any]]:
        """Commits that the trainings and evaluations were made at, with how many were."""
        states: Counter[tuple[str, bool]] = Counter()
        for _, sidecar in [*self._train.values(), *self._evaluate.values()]:
            git = sidecar.get("git", {})
            states[git.get("commit") or "no git checkout", bool(git.get("dirty"))] += 1
        return [
            {"commit": commit, "dirty": dirty, "jobs": count}
            for (commit, dirty), count in states.most_common()
        ]

    def _accepted(self) -> list[dict[str, Any]]:
        """What was taken over from other code: reason, day, what changed, and how many results."""
        sidecars = [
            *(one for named in (self._train, self._evaluate, self._cost) for _, one in named.values()),
            *(one for _, one in self.tables.values()),
            *self.figures.values(),
        ]
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for entry in [entry for sidecar in sidecars for entry in sidecar.get("accepted", [])]:
            one = found.setdefault((entry["when"], entry["reason"]), {**entry, "jobs": 0, "changes": []})
            one["jobs"] += 1
            one["changes"] += [change for change in entry["changes"] if change not in one["changes"]]
        return [found[key] for key in sorted(found)]

    def _compared(self) -> bool:
        """Whether a paper's numbers stand in any table."""
        return any(column.published for table, _ in self.tables.values() for column in table.columns)

    def _weights_none(self) -> bool:
        models = [sidecar["job"]["params"].get("model", {}) for _, sidecar in self._train.values()]
        return any(model.get("backbone", {}).get("weights") == "none" for model in models)

    # --- files ------------------------------------------------------------------------------------

    def _paths(self, name: str) -> list[str]:
        paths = self._inputs.get(name, [])
        return [paths] if isinstance(paths, str) else paths

    def _read(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        return [(path, read_json(path)) for path in self._paths(name)]

    def _by_name(self, name: str, keys: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        found = self._read(name)
        if len(found) != len(keys):
            raise InputError(f"inputs.{name}: has {len(found)} files for {len(keys)} entries")
        return dict(zip(keys, found, strict=True))

    def _link(self, path: str | Path) -> str:
        return Path(os.path.relpath(path, self.folder)).as_posix()

    def _output_links(self, sidecar: dict[str, Any]) -> list[tuple[str, str]]:
        return [
            (Path(output["path"]).suffix.lstrip("."), self._link(output["path"]))
            for output in sidecar["outputs"].values()
        ]


def _without_seed(run: str) -> str:
    return run.rpartition("/")[0] or run


def anchor(kind: str, name: str) -> str:
    """A fragment for a run or an architecture: letters, digits, dots, dashes."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9.]+', '-', name)}"


def run_facts(train: dict[str, Any], evaluate: dict[str, Any]) -> Facts:
    """The essentials of a run, from the sidecars of its training and evaluation; unknowns are left out."""
    params, training = train["job"]["params"], train.get("training", {})
    model, recipe = params.get("model", {}), params.get("recipe", {})
    backbone, pyramid = model.get("backbone", {}), model.get("pyramid")
    facts = [
        *((metric.header, f"{text} {metric.sources[0].unit}") for metric, text in _scores(evaluate)),
        ("backbone", backbone.get("timm")),
        ("backbone weights", _weights(backbone.get("weights"), train.get("weights") or {})),
        ("started from", params.get("init_from")),
        ("pyramid", _settings(pyramid) if pyramid else "none"),
        ("decoder", _settings(model["decoder"]) if model.get("decoder") else None),
        ("detector", (model.get("detector") or {}).get("kind")),
        ("scale equalizers", _equalizer(model.get("equalizer"))),
        ("optimiser", _settings(recipe.get("optimizer"))),
        ("schedule", _settings(recipe.get("schedule"))),
        ("batch", recipe.get("batch")),
        ("seed", params.get("seed")),
        ("training images", training.get("samples")),
        ("steps", training.get("steps")),
        ("resumed at steps", ", ".join(map(str, training.get("resumed_from") or []))),
        ("device", describe_device(train.get("device"))),
        ("processes", train.get("world_size")),
        ("peak memory", _mebibytes(train.get("peak_memory_bytes"))),
        ("data", (train.get("inputs", {}).get("manifest") or {}).get("content", "")[:12]),
        *_job_facts(train),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _scores(evaluate: dict[str, Any]) -> list[tuple[Metric, str]]:
    """The scores in an evaluation's sidecar that are defined, as they are printed."""
    found = evaluate.get("scores", {})
    return [
        (metric, metric.sources[0].text(found[name]))
        for name, metric in METRICS.items()
        if found.get(name) is not None
    ]


def _equalizer(section: dict[str, Any] | None) -> str | None:
    """The form of a run's scale equalizers and where they sit; None without."""
    if not section:
        return None
    names = [name for level in section.get("concatenations", []) for name in level]
    images = section.get("images")
    return f"{section.get('form')} at {', '.join(names)}" + (f", from {images} images" if images else "")


def _weights(kind: Any, facts: dict[str, Any]) -> str | None:
    """The kind of a backbone's weights and, where they were read from a file, where that came from."""
    source = facts.get("backbone_source")
    return f"{kind}, {source}" if kind and source else kind


def _job_facts(sidecar: dict[str, Any]) -> Facts:
    git = sidecar.get("git", {})
    commit = (git.get("commit") or "")[:12]
    if commit and git.get("dirty"):
        commit += " with uncommitted changes"
    seconds = sidecar.get("timing", {}).get("seconds")
    return [
        ("commit", commit),
        ("job digest", sidecar["job"]["digest"][:12]),
        ("finished", str(sidecar.get("timing", {}).get("finished") or "")),
        ("duration", "" if seconds is None else f"{seconds:.0f} s"),
    ]


def _settings(section: dict[str, Any] | None) -> str:
    """A section of a resolved configuration in one line, its kind first."""
    if not section:
        return ""
    rest = [f"{key} {value}" for key, value in section.items() if key != "kind"]
    return ", ".join([str(section.get("kind", "")), *rest])


def _mebibytes(value: float | None) -> str | None:
    return None if value is None else f"{value / 2**20:.0f} MiB"
