"""`list`: every run of a scale, and the table rows that it serves."""

import argparse
import json

from pipeline_src.cli.text import columns
from pipeline_src.config.expand import expand
from pipeline_src.config.study import Params


def run_list(params: Params, options: argparse.Namespace) -> int:
    """Print the runs of the selected studies."""
    experiments = expand(params)
    serves: dict[str, list[dict[str, str]]] = {name: [] for name in experiments.runs}
    for study, rows in experiments.rows.items():
        tables = [params.table_name(study, table) for table in params.studies[study].tables] or [study]
        for row in rows:
            for name in row.runs:
                serves[name] += [{"table": table, "row": row.label} for table in tables]
    starts: dict[str, list[str]] = {name: [] for name in experiments.runs}
    for run in experiments.runs.values():
        if run.init_from is not None:
            starts[run.init_from].append(run.name)
    entries = [
        {
            "run": run.name,
            "dataset": run.dataset,
            "backbone": run.model["backbone"]["timm"],
            "weights": run.model["backbone"]["weights"],
            "seed": run.seed,
            "init_from": run.init_from,
            "serves": serves[run.name],
            "starts": starts[run.name],
        }
        for run in experiments.runs.values()
    ]
    if options.json:
        print(json.dumps({"scale": params.scale, "runs": entries}, indent=1))
        return 0
    table = [["RUN", "DATA", "BACKBONE", "WEIGHTS", "SERVES"]]
    for name, run in experiments.runs.items():
        served = [f"{entry['table']}: {entry['row']}" for entry in serves[name]]
        rows_served = ", ".join([*served, *(f"start of {other}" for other in starts[name])])
        backbone = run.model["backbone"]
        table.append([name, run.dataset, backbone["timm"], backbone["weights"], rows_served])
    print("\n".join(columns(table)))
    print(f"\n{len(entries)} runs at scale {params.scale}")
    return 0
