"""What the planning of tables, figures and the report has in common."""

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from pipeline_src.config.experiments import Row
from pipeline_src.config.study import Study, Table
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.steps import TABULATE
from pipeline_src.reporting.reference import (
    assumptions_of,
    paper_values_of,
    read_assumptions,
    read_paper_values,
    read_quoted_values,
)

PAPER_VALUES = "workflow/reference/paper_values.csv"
QUOTED_VALUES = "workflow/reference/quoted_values.csv"
ASSUMPTIONS = "workflow/reference/assumptions.csv"

PAPER_DATASETS = {
    "voc2012": "PASCAL VOC2012",
    "voc2012_aug": "PASCAL VOC2012 aug",
    "ade20k": "ADE20K",
    "cityscapes": "Cityscapes",
    "coco": "COCO",
    "voc0712": "PASCAL VOC",
}


class SummaryJobs:
    """Adds summarising jobs to a plan; the parts of their parameters that several kinds need."""

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph
        self.params = graph.params
        self.plan = graph.plan
        self.paper_values = read_paper_values(PAPER_VALUES)
        self.quoted_values = read_quoted_values(QUOTED_VALUES)
        self.assumptions = read_assumptions(ASSUMPTIONS)

    def rows_of(self, rows: list[Row]) -> list[dict[str, Any]]:
        """The rows, with their baselines where these are among them; runs have their scorings' names."""
        labels = {row.label for row in rows}
        return [
            {
                "row": row.label,
                "architecture": row.architecture,
                "baseline_row": row.baseline if row.baseline in labels else None,
                "runs": [
                    {"run": name, "seed": seed} for name, seed in zip(row.scorings, row.seeds, strict=True)
                ],
                **{name: value for name in ("pair", "status", "reason") if (value := getattr(row, name))},
                **({"init_from": start} if (start := self._start(row)) else {}),
            }
            for row in rows
        ]

    def _start(self, row: Row) -> str | None:
        """The run whose weights the runs of a row start from."""
        return self.graph.experiments.runs[row.runs[0]].init_from if row.runs else None

    def fixed_at_random(self, rows: list[Row]) -> str | None:
        """What detectors of these rows keep fixed of a backbone without weights; None where nothing is."""
        runs = [self.graph.experiments.runs[run] for row in rows for run in row.runs]
        detectors = [
            run.model["detector"]
            for run in runs
            if run.model["detector"] and run.model["backbone"]["weights"] == "none" and not run.init_from
        ]
        stages = max(
            (one["frozen_stages"] for one in detectors if one["frozen_stages"] is not None), default=None
        )
        parts = ["batch normalisation"] if any(one["frozen_norm"] for one in detectors) else []
        if stages is not None:
            parts.append(
                "the stem" if stages == 0 else f"the stem and stage 1{f' to {stages}' if stages > 1 else ''}"
            )
        return " and ".join(parts) or None

    def scale(self) -> dict[str, Any]:
        """The scale, as captions name it."""
        return {
            "name": self.params.scale,
            "comparable": self.params.comparable,
            "note": self.params.scale_note,
        }

    def comparison(self, key: str, study: Study, table: Table | None) -> dict[str, Any]:
        """What is compared with what: the scale, our data, the paper's numbers."""
        names = list(dict.fromkeys(row.dataset for row in self.graph.experiments.rows[key]))
        kinds = {self.params.datasets[name].source.kind for name in names}
        data: dict[str, Any] = {
            "dataset": " and ".join(names),
            "split": "val",
            "kind": kinds.pop() if len(kinds) == 1 else "",
            "tests": self.tests(self.graph.experiments.rows[key]),
        }
        if any(self.params.datasets[name].reader.task == "detection" for name in names):
            data["task"] = "detection"
        if study.paper and all(name in PAPER_DATASETS for name in names):
            data["paper_dataset"] = " and ".join(PAPER_DATASETS[name] for name in names)
        name = self.paper_table(study, table)
        paper = paper_values_of(self.paper_values, name) if name else []
        quoted = [value for value in self.quoted_values if value["table"] == name]
        return {"scale": self.scale(), "data": data, "paper": paper, "quoted": quoted or None}

    def tests(self, rows: list[Row]) -> list[dict[str, Any]]:
        """The ways in which the rows are evaluated, each once, with the number of rows."""
        found: list[dict[str, Any]] = []
        for row in rows:
            for scoring in row.scorings[:1]:
                whole = self.graph.experiments.scorings[scoring].evaluation
                way = {key: value for key, value in whole.items() if key != "overlays"}
                same = next((one for one in found if one["way"] == way), None)
                if same is None:
                    found.append(same := {"way": way, "rows": 0})
                same["rows"] += 1
        return found

    @staticmethod
    def paper_table(study: Study, table: Table | None) -> str:
        """The paper's table that a study's table re-creates, as the reference names it."""
        return f"{study.paper}_table{table.number}" if study.paper and table else ""

    def tidy_inputs(self, key: str) -> dict[str, str | list[str]]:
        """The tidy tables of a study."""
        return {name: self.plan.path(TABULATE, name, key) for name in ("experiments", "timed")}

    def cost_settings(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Batch and crop at which costs were measured, each once."""
        settings = [self.graph.experiments.architectures[row.architecture].setting for row in rows]
        found: list[dict[str, Any]] = []
        for setting in settings:
            entry = {"batch": setting["batch"], "crop": setting["crop"]}
            if entry not in found:
                found.append(entry)
        return found

    def assumptions_under(self, key: str, table: str) -> list[dict[str, Any]]:
        """The assumptions of a paper's table that a study re-creates, with what each switch says here."""
        return [self._told(row, [key], key) for row in assumptions_of(self.assumptions, table)]

    def assumptions_of_papers(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """The assumptions of the papers that studies re-create; a switch of a study names any of them."""
        studies = {key: self.params.studies[key] for key in keys}
        papers = {study.paper for study in studies.values()}
        tables = {
            key: {self.paper_table(study, table) for table in study.tables} for key, study in studies.items()
        }
        return [
            self._told(row, [key for key in studies if tables[key] & set(row["tables"])], "<study>")
            for row in self.assumptions
            if row["study"] in papers
        ]

    def _told(self, assumption: dict[str, Any], keys: list[str], study: str) -> dict[str, Any]:
        switch = assumption["switch"].replace("{study}", study)
        return {**assumption, "switch": switch, "value": self.switched(assumption["switch"], keys)}

    def switched(self, switch: str, studies: Iterable[str] = ()) -> str | None:
        """What an assumption's switch says here, as the file would write it; None without a switch.

        `{study}` in it stands for each of `studies`. Of several keys with different values, every key
        with its value.
        """
        keys = [
            key.replace("{study}", study)
            for key in switch.split()
            for study in (studies if "{study}" in key else [""])
        ]
        values = {key: self._written(key) for key in keys}
        if len(set(values.values())) <= 1:
            return next(iter(values.values()), None)
        return "; ".join(f"{key}: {value}" for key, value in values.items())

    def _written(self, key: str) -> str:
        value: Any = self._all_params
        for part in key.split("."):
            if isinstance(value, list) and part.isdigit():
                value = dict(enumerate(value)).get(int(part))
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, str) else json.dumps(value)

    def weights(self, rows: list[Row]) -> list[str]:
        """Where the backbones' weights of these rows come from."""
        runs = self.graph.experiments.runs
        return sorted({runs[run].model["backbone"]["weights"] for row in rows for run in row.runs})

    @cached_property
    def _all_params(self) -> dict[str, Any]:
        return self.params.model_dump()
