"""Step `tabulate`: the long tables `experiments.csv` and `experiments_timed.csv` of one study.

    params   {"study": "dfp", "tables": ["dfp_table1", ...],       # that show these rows; may be []
              "rows": [...],                                       # see pipeline_src/reporting/rows.py
              "architectures": ["dfp/depth-3", ...]}               # each one that a row names, once
    inputs   {"metrics": [metrics.json of every run of the rows, in order],
              "cost": [cost.json of every architecture], "timing": [timing.json of every architecture]}
    outputs  {"sidecar", "experiments", "timed"}

The content of the result is that of `experiments.csv`; timed values do not enter it.
"""

import pandas as pd

from pipeline_src.errors import InputError
from pipeline_src.files import digest_file
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.rows import parse_rows
from pipeline_src.reporting.tidy import COLUMNS, TIMED_COLUMNS, tidy_costs, tidy_scores, write_tidy


def tabulate(job: Job) -> None:
    """Write both tables and the sidecar of `job`."""
    experiments, timed = job.outputs["experiments"], job.outputs["timed"]
    study, rows = job.params["study"], parse_rows(job.params)
    tables = job.params["tables"] or [""]
    scores = tidy_scores(study, tables, rows, job.input_list("metrics"))
    costs = tidy_costs(study, tables, rows, _costs(job, "cost"), "cost")
    write_tidy(experiments, pd.concat([scores, costs], ignore_index=True)[COLUMNS])
    write_tidy(timed, tidy_costs(study, tables, rows, _costs(job, "timing"), "timing")[TIMED_COLUMNS])
    job.write_sidecar(digest_file(experiments))


def _costs(job: Job, name: str) -> dict[str, str]:
    architectures, paths = job.params["architectures"], job.input_list(name)
    if len(architectures) != len(paths):
        raise InputError(f"inputs.{name}: has {len(paths)} files for {len(architectures)} architectures")
    return dict(zip(architectures, paths, strict=True))
