"""Step `table`: one table with the paper's numbers and verdicts, as JSON, CSV, Markdown and LaTeX.

    params   `MakeTable` of pipeline_src/reporting/parameters.py

The sidecar holds the table itself under `"table"`: columns, rows with all values, blocks of text as they are
printed, notes. Beside `content`, `untimed_content` identifies the table without the columns that differ
between machines.
"""

from typing import Any

from pipeline_src.files import digest_of, write_text
from pipeline_src.options import from_json, to_json
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.blocks import make_blocks
from pipeline_src.reporting.captions import describe_table
from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.parameters import MakeTable
from pipeline_src.reporting.render import to_csv, to_latex, to_markdown
from pipeline_src.reporting.rows import check_rows
from pipeline_src.reporting.tidy import read_study


def make_table(job: Job) -> None:
    """Write the table in all forms, and the sidecar that holds it."""
    params = from_json(MakeTable, job.params)
    check_rows(params.rows)
    measured = read_study(job.input("experiments"), job.input("timed"))
    comparison = Comparison(
        rows=params.rows,
        measured=measured[measured["table"] == params.table],
        paper=params.paper,
        scale=params.scale,
        rules=params.rules,
        split=params.data.split,
    )
    values = comparison.table(params.metrics)
    if params.quoted:
        values["quoted"] = [to_json(one) for one in params.quoted]
    title = _title(params)
    notes = describe_table(params, values)
    blocks = make_blocks(values, params.row_header)
    assumptions = [to_json(one) for one in params.assumptions]
    write_text(job.outputs["csv"], to_csv(values))
    write_text(job.outputs["md"], to_markdown(title, notes, blocks, params.assumptions))
    write_text(job.outputs["tex"], to_latex(params.table, title, notes, blocks, params.assumptions))
    job.write_sidecar(
        digest_of([title, notes, values, assumptions]),
        ("pandas", "scipy"),
        untimed_content=digest_of([title, _untimed(values), assumptions]),
        table={
            "name": params.table,
            "study": params.study,
            "title": title,
            "notes": notes,
            **values,
            "blocks": blocks,
            "assumptions": assumptions,
        },
    )


def _title(params: MakeTable) -> str:
    if params.number is None:
        return params.title
    return f"{params.table.rpartition('_table')[0]}, Table {params.number}: {params.title}"


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
