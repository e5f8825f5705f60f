"""Step `table`: one table with the paper's numbers and verdicts, as JSON, CSV, Markdown and LaTeX.

    params   `MakeTable` of pipeline_src/reporting/report_params.py

The sidecar holds the table itself under `"table"`: columns, rows with all values, blocks of text as they are
printed, notes. Beside `content`, `untimed_content` identifies the table without the columns that differ
between machines.
"""

from pipeline_src.files import digest_of, write_text
from pipeline_src.options import to_json
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.captions import describe_table
from pipeline_src.reporting.comparison import Comparison
from pipeline_src.reporting.findings_paragraph import findings
from pipeline_src.reporting.long_table import read_study
from pipeline_src.reporting.render_table import to_csv, to_latex, to_markdown
from pipeline_src.reporting.report_params import MakeTable
from pipeline_src.reporting.row_params import check_rows
from pipeline_src.reporting.table import FinishedTable, untimed
from pipeline_src.reporting.table_blocks import make_blocks


def make_table(job: Job) -> None:
    """Write the table in all forms, and the sidecar that holds it."""
    params = job.params_as(MakeTable)
    check_rows(params.rows)
    measured = read_study(job.input("experiments"), job.input("timed"))
    comparison = Comparison(
        rows=params.rows,
        measured=measured[measured["table"] == params.table],
        paper=params.paper,
        scale=params.scale,
        rules=params.rules,
        split=params.data.split,
        controls=None if params.number is not None else params.controls,
    )
    values = comparison.table(params.metrics, params.quoted)
    table = FinishedTable(
        **vars(values),
        name=params.table,
        study=params.study,
        title=_title(params),
        notes=describe_table(params, values),
        blocks=make_blocks(values, params.row_header),
        assumptions=params.assumptions,
        findings=findings(values, params.controls),
    )
    write_text(job.outputs["csv"], to_csv(table))
    write_text(job.outputs["md"], to_markdown(table))
    write_text(job.outputs["tex"], to_latex(table))
    found = to_json(table)
    job.write_sidecar(
        digest_of(found),
        ("pandas", "scipy"),
        summary=f"{len(table.rows)} rows, {len(table.columns)} columns",
        untimed_content=digest_of(untimed(found)),
        table=found,
    )


def _title(params: MakeTable) -> str:
    if params.number is None:
        return params.title
    return f"{params.table.rpartition('_table')[0]}, Table {params.number}: {params.title}"
