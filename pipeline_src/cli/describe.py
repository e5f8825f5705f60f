"""`describe RUN`: what a run is, and what it costs on paper. Needs no data, weights or training."""

import argparse
import difflib
import json
from typing import Any

import yaml

from pipeline_src.cli.text import columns, large
from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Run
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.options import to_json
from pipeline_src.tasks.task import task_of


def run_describe(params: Params, options: argparse.Namespace) -> int:
    """Print one run; an unknown name is an `InputError` that lists close ones."""
    experiments = expand(params)
    if options.run_name not in experiments.runs:
        close = difflib.get_close_matches(options.run_name, experiments.runs, n=3, cutoff=0.3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise InputError(f"no run {options.run_name!r} at scale {params.scale}{hint}")
    run = experiments.runs[options.run_name]
    serves = [
        f"{study}: {row.label}"
        for study, rows in experiments.rows.items()
        for row in rows
        if run.name in row.runs
    ]
    scorings = [scoring for scoring in experiments.scorings.values() if scoring.run == run.name]
    model = scorings[0].model if scorings else run.model
    value = {
        "run": run.name,
        "scale": params.scale,
        "serves": serves,
        "seed": run.seed,
        "model": model,
        "data": params.datasets[run.dataset].model_dump(exclude_none=True) | {"name": run.dataset},
        "recipe": to_json(run.recipe),
        "evaluation": {
            scoring.name: to_json(scoring.evaluation)
            | ({} if scoring.model == model else {"model": scoring.model})
            for scoring in scorings
        },
        "cost": _cost(run),
    }
    print(json.dumps(value, indent=1) if options.json else _text(value))
    return 0


def _cost(run: Run) -> dict[str, Any]:
    # imported here: the other commands need no torch
    from pipeline_src.components import load

    crop = run.recipe.augment.size
    return {"crop": crop, **load(f"costs.{task_of(run.model)}").describe(run.model, crop)}


def _text(value: dict[str, Any]) -> str:
    cost = value["cost"]
    parts = [["PART", "PARAMETERS", "FLOPS"]]
    for name, entry in cost["parts"].items():
        parts.append([name, large(entry["parameters"]), large(entry["flops"])])
    parts.append(["all", large(cost["parameters"]), large(cost["flops"])])
    sections = {key: value[key] for key in ("model", "data", "recipe", "evaluation")}
    height, width = cost["crop"]
    return "\n".join(
        [
            f"{value['run']} (scale {value['scale']}, seed {value['seed']})",
            f"serves {', '.join(value['serves'])}",
            "",
            yaml.safe_dump(sections, sort_keys=False, default_flow_style=None, width=110),
            f"cost of one image at the recipe's size, {height} x {width} (FLOPs: 2 x multiply-adds)",
            *columns(parts),
        ]
    )
