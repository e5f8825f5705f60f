"""A made-up study with every file that the reporting steps read, and jobs for these steps."""

import csv
import json
from pathlib import Path

import numpy as np

from pipeline_src.components import load
from pipeline_src.config.component_declarations import component
from pipeline_src.evaluation.segmentation_overlays import OverlayWriter
from pipeline_src.options import from_json, to_json
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.figures.drawing import styled
from pipeline_src.reporting.reference import (
    assumption_of,
    printed_in,
    read_assumptions,
    read_paper_values,
)
from pipeline_src.reporting.report_params import DrawFigure

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "workflow" / "reference"
CLASSES = ["background", "aeroplane", "bicycle", "bird", "person"]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RULES = {"points": 1.0, "ratio": 0.1, "confidence": 0.95, "minimum_seeds": 3}
PAPER_VALUES = printed_in(read_paper_values(REFERENCE / "paper_values.csv"), "dfp_table1")
ASSUMPTIONS = [
    assumption_of(row)
    for row in read_assumptions(REFERENCE / "assumptions.csv")
    if "dfp_table1" in row["tables"]
]
MIOU = {0: 63.5, 1: 68.0, 2: 69.5, 3: 69.9, 4: 69.4, 5: 70.0}
"""Mean over seeds by depth, in percent."""


MANIFEST = {
    "content": "0f" * 32,
    "dataset": "voc2012",
    "format": "voc2012",
    "classes": CLASSES,
    "warnings": [],
    "splits": {
        name: {
            "images": images,
            "counted": {
                "what": "labelled pixels",
                "by_class": [700_000, 60_000, 9_000, 0, 120_000],
                "left_out": 40_000,
                "because": "not labelled",
            },
            "smallest": [142, 96],
            "largest": [500, 375],
        }
        for name, images in (("train", 1464), ("val", 1449))
    },
}


class FakeStudy:
    """DFP's Table 1 at a made-up scale, below the working directory."""

    def __init__(
        self, seeds=1, comparable=False, gpu=False, depths=(5, 4, 3, 2, 1, 0), name="dfp", pictures=False
    ):
        self.pictures = pictures
        self.seeds, self.gpu, self.depths, self.study = seeds, gpu, depths, name
        scale = "paper" if comparable else "demo"
        note = "the paper's recipe" if comparable else "generated scenes, miniature networks"
        self.scale = {"name": scale, "comparable": comparable, "note": note}
        self.root = Path("results") / scale
        self.table = f"{name}_table1"
        self.rng = np.random.default_rng(0)
        self.rows = [
            {
                "name": f"depth {depth}",
                "architecture": f"dfp/depth-{depth}",
                "baseline": "depth 0",
                "runs": [{"name": f"dfp/depth-{depth}/seed-{seed}", "seed": seed} for seed in range(seeds)],
            }
            for depth in depths
        ]
        self.score_file = {}

    def runs(self):
        """(depth, run name, seed) in the order of the input lists."""
        for row, depth in zip(self.rows, self.depths, strict=True):
            if row.get("status", "run") == "run":
                for run in row["runs"]:
                    yield depth, run["name"], run["seed"]

    def files(self, name):
        """The file `name` of every run, in order."""
        return [str(self.root / "runs" / run / name) for _, run, _ in self.runs()]

    def costs(self, name):
        """The file `name` of every architecture, in order."""
        return [str(self.root / "cost" / row["architecture"] / name) for row in self.rows]

    def write(self):
        """Write results of runs and architectures."""
        for depth, run, seed in self.runs():
            folder = self.root / "runs" / run
            self._write_metrics(folder, depth, seed)
            self._write_curves(folder, depth, seed)
            self._write_sidecars(folder, run, seed)
        write(self.root / "data/voc2012/manifest.json", MANIFEST)
        for depth, row in zip(self.depths, self.rows, strict=True):
            self._write_cost(self.root / "cost" / row["architecture"], row["architecture"], depth)
        return self

    def _write_metrics(self, folder, depth, seed):
        value = (MIOU[depth] + 0.2 * (seed - (self.seeds - 1) / 2)) / 100
        per_class = {name: value + 0.01 * k for k, name in enumerate(CLASSES)}
        per_class["bird"] = None
        metrics = {"content": f"m{depth}{seed}", "unit": "fraction", "split": "val", "images": 7}
        scores = {"miou": value, "pixel_accuracy": value + 0.2, "mean_accuracy": value + 0.1}
        write(folder / "metrics.json", {**metrics, **scores, "per_class": per_class, "confusion": [[1]]})

    def _write_curves(self, folder, depth, seed):
        steps = np.arange(1, 201)
        losses = 2.5 * np.exp(-steps / 60) + 0.3 - 0.03 * depth + 0.1 * self.rng.standard_normal(200)
        lines = [f"{s},{s // 50},0.0005,{float(loss)!r}" for s, loss in zip(steps, losses, strict=True)]
        (folder / "log.csv").write_text("step,epoch,lr,loss\n" + "\n".join(lines) + "\n")
        points = [(s, (MIOU[depth] * (1 - np.exp(-s / 60)) + seed) / 100) for s in range(50, 201, 50)]
        lines = [f"{s},{s // 50},miou,{float(v)!r}\n{s},{s // 50},pixel_accuracy,0.9" for s, v in points]
        (folder / "curve.csv").write_text("step,epoch,metric,value\n" + "\n".join(lines) + "\n")

    def _write_sidecars(self, folder, run, seed):
        overlays = OverlayWriter(folder / "overlays", range(2), CLASSES, MEAN, STD, 255)
        for index in range(2 if self.pictures else 0):
            image, truth = scene(index)
            prediction = np.where(truth == 255, 0, truth)
            prediction = np.roll(prediction, 2 + seed + len(run) % 3, axis=1).astype(np.int32)
            overlays(index, f"2012_{index:06d}", image, truth, prediction)
        overlays.finish()
        common = {
            "git": {"commit": "0123456789abcdef", "dirty": False},
            "environment": {"python": "3.11.7", "platform": "Linux", "packages": {"torch": "2.15.0"}},
            "timing": {"started": "2030-01-01T00:00:00+00:00", "finished": "x", "seconds": 12.3},
            "inputs": {"manifest": {"path": str(self.root / "data/voc2012/manifest.json"), "content": "c"}},
        }
        model = {"num_classes": 21, "backbone": {"timm": "resnet50.tv_in1k", "weights": "none"}}
        train = {
            "job": {
                "step": "train",
                "name": run,
                "digest": "d" * 64,
                "params": {"seed": seed, "model": model},
            },
            "device": "cpu (x86_64)",
            "training": {"steps": 200, "samples": 60, "resumed_from": [120], "seconds_of_last_session": 9.0},
            "peak_memory_bytes": 3 * 2**28,
            "outputs": {"model": {"path": str(folder / "model.safetensors"), "bytes": 5, "sha256": "e" * 64}},
        }
        evaluate = {
            "job": {"step": "evaluate", "name": run, "digest": "f" * 64, "params": {}},
            "overlays": {"folder": str(folder / "overlays"), "images": 2},
            "scores": {"miou": 0.5, "pixel_accuracy": 0.8},
            "outputs": {},
        }
        write(folder / "train.json", {"content": "t", **train, **common})
        write(folder / "evaluate.json", {"content": "e", **evaluate, **common})

    def _write_cost(self, folder, architecture, depth):
        saved = int((1 + 0.16 * depth) * 900 * 2**20)
        parameters = 23_600_000 if depth == 0 else 55_000_000
        cost = {"content": f"c{depth}", "parameters": parameters, "flops": int(40e9 * (1 + 0.16 * depth))}
        write(folder / "cost.json", {**cost, "saved_bytes": saved, "crop": [512, 512], "batch": 3})
        seconds = 0.4 + 0.07 * depth
        timing = {
            "latency": seconds,
            "latency_quartiles": [seconds - 0.01, seconds + 0.02],
            "step_time": 3 * seconds,
            "step_time_quartiles": [3 * seconds, 3 * seconds],
            "peak_memory": saved * 2 if self.gpu else None,
            "device": {"name": "cpu (x86_64)", "threads": 2, "torch": "2.15.0"},
        }
        write(folder / "timing.json", timing)
        sidecar = {"content": f"c{depth}", "device": timing["device"], "outputs": {}}
        sidecar["job"] = {"step": "cost", "name": architecture, "digest": "a" * 64, "params": {"batch": 3}}
        write(folder / "sidecar.json", sidecar)

    # --- jobs ---------------------------------------------------------------------------------

    def tabulate_job(self):
        folder = self.root / "studies" / self.study
        outputs = {
            "experiments": "experiments.csv",
            "timed": "experiments_timed.csv",
            "sidecar": "sidecar.json",
        }
        return job(
            "tabulate",
            {
                "study": self.study,
                "tables": [self.table],
                "rows": self.rows,
                "architectures": [row["architecture"] for row in self.rows],
            },
            {
                "metrics": self.files("metrics.json"),
                "cost": self.costs("cost.json"),
                "timing": self.costs("timing.json"),
            },
            {key: str(folder / name) for key, name in outputs.items()},
            self.scale["name"],
        )

    def long_tables(self):
        folder = self.root / "studies" / self.study
        return {
            "experiments": str(folder / "experiments.csv"),
            "timed": str(folder / "experiments_timed.csv"),
        }

    def table_params(self, paper=True):
        return {
            "study": self.study,
            "table": self.table,
            "number": 1 if paper else None,
            "title": "Cost and accuracy of a deep feature pyramid by depth",
            "row_header": "depth",
            "scale": self.scale,
            "data": {
                "dataset": "voc2012",
                "split": "val",
                "task": "segmentation",
                "kind": "archives" if self.scale["comparable"] else "scenes",
                "paper_dataset": "PASCAL VOC2012",
                "testing": [{"rows": len(self.rows)}],
            },
            "costs": [{"batch": 3, "crop": [512, 512]}],
            "rows": self.rows,
            "metrics": ["training_memory", "testing_time", "miou", "parameters", "flops"],
            "paper": [to_json(one) for one in PAPER_VALUES] if paper else [],
            "quoted": [],
            "assumptions": [to_json(one) for one in ASSUMPTIONS] if paper else [],
            "weights": ["pretrained"] if self.scale["comparable"] else ["none"],
            "rules": RULES,
        }

    def table_job(self, paper=True):
        base = self.root / "tables" / self.table
        outputs = {key: f"{base}.{key}" for key in ("csv", "md", "tex")} | {"sidecar": f"{base}.json"}
        return job("table", self.table_params(paper), self.long_tables(), outputs, self.scale["name"])

    def figure_job(self, kind, rows=None, **more):
        name = f"{self.study}_{kind}"
        base = self.root / "figures" / name
        outputs = {key: f"{base}.{key}" for key in ("svg", "png", "csv")} | {"sidecar": f"{base}.json"}
        by_name = {row["name"]: row for row in self.rows}
        shown = self.rows if rows is None else [by_name[name] for name in rows]
        keep = [row["name"] for row in shown]
        runs = [run["name"] for row in shown if row.get("status", "run") == "run" for run in row["runs"]]

        def of(file):
            return [str(self.root / "runs" / run / file) for run in runs]

        inputs = {
            "tradeoff": self.long_tables(),
            "pareto": self.long_tables(),
            "curves": {"log": of("log.csv"), "curve": of("curve.csv")},
            "predictions": {"evaluate": of("evaluate.json")},
        }[kind]
        params = {
            "study": self.study,
            "figure": name,
            "kind": kind,
            "title": f"A figure of {keep[0]} and others",
            "task": "segmentation",
            "scale": self.scale,
            "compared": True,
            "rows": shown,
            "row_header": "depth",
            "images": 4,
            **more,
        }
        if kind == "tradeoff":
            params["paper"] = self.table_params()["paper"]
        return job("figure", params, inputs, outputs, self.scale["name"])

    def report_job(self, tables=True, figures=()):
        runs = [
            {"name": run["name"], "row": row["name"], "seed": run["seed"]}
            for row in self.rows
            for run in row["runs"]
        ]

        def of(file):
            return [str(self.root / "runs" / run["name"] / file) for run in runs]

        names = [f"{self.study}_{kind}" for kind in figures]
        study = {"study": self.study, "title": "Deep Feature Pyramid on VOC2012", "figures": names}
        return job(
            "report",
            {
                "title": "Fusebench",
                "scale": self.scale,
                "studies": [{**study, "tables": [self.table] if tables else []}],
                "runs": runs,
                "architectures": [row["architecture"] for row in self.rows],
                "assumptions": self.table_params()["assumptions"],
                "rules": RULES,
            },
            {
                "tables": [str(self.root / "tables" / f"{self.table}.json")] if tables else [],
                "figures": [str(self.root / "figures" / f"{name}.json") for name in names],
                **({"experiments": self.long_tables()["experiments"]} if tables else {}),
                "train": of("train.json"),
                "evaluate": of("evaluate.json"),
                "cost": self.costs("sidecar.json"),
                "manifests": [str(self.root / "data/voc2012/manifest.json")],
            },
            {"report": str(self.root / "report.html"), "sidecar": str(self.root / "report.json")},
            self.scale["name"],
        )


def drawn(kind, rows=(), inputs=None, **told):
    """The drawing of a figure's kind, with little told of it beside `rows`."""
    found = component(f"figure.{kind}")
    shared = {
        "study": "s", "figure": "s_f", "kind": kind, "title": "t", "task": "detection", "compared": True,
        "row_header": "row", "scale": {"name": "demo", "comparable": False, "note": "made up"}, "images": 4,
    }  # fmt: skip
    params = from_json(DrawFigure, {**shared, "rows": list(rows), **told})
    kind_of = load(f"figure.{kind}")
    assert (found.reads, found.tasks, found.pictures) == (kind_of.reads, kind_of.tasks, kind_of.pictures)
    with styled():
        return kind_of.draw(params, kind_of.Options(), inputs or {})


def scene(index):
    """A normalised image `(3, 48, 64)` and its mask with a void border."""
    rng = np.random.default_rng(index)
    pixels = rng.integers(60, 200, (48, 64, 3)).astype(np.float32)
    truth = np.zeros((48, 64), dtype=np.uint8)
    truth[8:30, 10:40] = 255
    truth[10:28, 12:38] = 1 + index
    pixels[10:28, 12:38] = (200, 60, 40 + 60 * index)
    image = (pixels / 255 - np.float32(MEAN)) / np.float32(STD)
    return image.transpose(2, 0, 1), truth


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def job(step, params, inputs, outputs, scale):
    """A job as the planner would make it, without its code's identity."""
    code = {"digest": "0" * 64, "modules": {}}
    return Job(step, f"fake/{step}", scale, params, inputs, outputs, code, "0" * 64)


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
