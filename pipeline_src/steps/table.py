"""Step `table`: one table with the paper's numbers and verdicts, as JSON, CSV, Markdown and LaTeX.

    params   {"study": "dfp", "table": "dfp_table1", "number": 1,   # number: null for an own study
              "title": "...", "row_header": "depth",
              "scale": {"name", "comparable", "note"},
              "data": {"dataset": "voc2012", "split": "val",       # evaluated on; null: no scores
                       "kind": "scenes" | "archives" | "folder",   # optional
                       "paper_dataset": "PASCAL VOC2012",          # optional: the paper's data set
                       "tests": [{"way": an evaluation, "rows": 6}]},   # of how many rows
              "cost": {"batch": 3, "crop": [512, 512]},            # optional: what costs were measured at
              "rows": [...],                                       # see pipeline_src/reporting/rows.py
              "metrics": ["training_memory", "testing_time", "miou", "parameters", "flops"],
              "paper": [{"row", "metric", "value", "unit", "split", "source"}],   # [] : nothing to compare
              "quoted": [{"group", "row", "metric", "value", "unit", "split", "source"}],   # optional
              "assumptions": [{"id", "text", "reason", "switch", "default"}],
              "weights": ["pretrained"],                           # optional: weights of the rows' backbones
              "fixed_at_random": "batch normalisation",            # optional: what never learned of them
              "note": "",                                          # optional: one more sentence
              "verdicts": {"points", "ratio", "confidence", "minimum_seeds"}}
    inputs   {"experiments": experiments.csv, "timed": experiments_timed.csv}   # of the study
    outputs  {"sidecar": <table>.json, "csv", "md", "tex"}

An assumption may also have `"value"`, what its switch is set to here, which is printed where it is
not the default. `quoted` are rows of others that the paper prints beside its own. `paper`, `quoted` and
`assumptions` are rows of `workflow/reference/`, as `reporting.reference` reads them. The sidecar holds the
table itself under `"table"`: columns, rows with all values, blocks of text as they are printed, notes.
Beside `content`, `untimed_content` identifies the table without the columns that differ between
machines.
"""

from typing import Any

from pipeline_src.files import digest_of, write_text
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.blocks import make_blocks
from pipeline_src.reporting.captions import describe_table
from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.render import to_csv, to_latex, to_markdown
from pipeline_src.reporting.rows import parse_rows, parse_scale
from pipeline_src.reporting.tidy import read_study
from pipeline_src.reporting.verdict import Rules


def make_table(job: Job) -> None:
    """Write the table in all forms, and the sidecar that holds it."""
    params = job.params
    name = params["table"]
    measured = read_study(job.input("experiments"), job.input("timed"))
    comparison = Comparison(
        rows=parse_rows(params),
        measured=measured[measured["table"] == name],
        paper=params["paper"],
        scale=parse_scale(params),
        rules=Rules(**params["verdicts"]),
        split=(params.get("data") or {}).get("split", "val"),
    )
    values = comparison.table(params["metrics"])
    if params.get("quoted"):
        values["quoted"] = params["quoted"]
    title = _title(params)
    notes = describe_table(params, values)
    blocks = make_blocks(values, params.get("row_header") or "row")
    assumptions = params["assumptions"]
    write_text(job.outputs["csv"], to_csv(values))
    write_text(job.outputs["md"], to_markdown(title, notes, blocks, assumptions))
    write_text(job.outputs["tex"], to_latex(name, title, notes, blocks, assumptions))
    job.write_sidecar(
        digest_of([title, notes, values, assumptions]),
        ("pandas", "scipy"),
        untimed_content=digest_of([title, _untimed(values), assumptions]),
        table={
            "name": name,
            "study": params["study"],
            "title": title,
            "notes": notes,
            **values,
            "blocks": blocks,
            "assumptions": assumptions,
        },
    )


def _title(params: dict[str, Any]) -> str:
    if params.get("number") is None:
        return params["title"]
    return f"{params['table'].rpartition('_table')[0]}, Table {params['number']}: {params['title']}"


def _untimed(values: dict[str, Any]) -> Any:
    """The table without columns of times, memory and devices."""
    kept = [column for column in values["columns"] if not column["timed"]]
    return [
        kept,
        [
            {**row, "cells": {column["key"]: row["cells"][column["key"]] for column in kept}}
            for row in values["rows"]
        ],
    ]
