"""Step `tabulate`: the long tables `experiments.csv` and `experiments_timed.csv` of one study.

    params   `Tabulate` of pipeline_src/reporting/report_params.py
    inputs   lists, parallel to the runs of the rows and to the architectures; "evaluate", "train", "log" and
             "curve" only where metrics of the user's own read them

The content of the result is that of `experiments.csv`; timed values do not enter it.
"""

import pandas as pd

from pipeline_src.files import digest_file
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.long_table import COLUMNS, tidy_costs, tidy_scores, write_tidy
from pipeline_src.reporting.metric import RUN_FILES
from pipeline_src.reporting.report_params import Tabulate
from pipeline_src.reporting.row_params import check_rows


def tabulate(job: Job) -> None:
    """Write both tables and the sidecar of `job`."""
    experiments, timed = job.outputs["experiments"], job.outputs["timed"]
    params = job.params_as(Tabulate)
    check_rows(params.rows)
    scores = tidy_scores(params, {kind: job.input_list(kind) for kind in RUN_FILES if kind in job.inputs})
    costs = tidy_costs(params, job.input_list("cost"), "cost")
    write_tidy(experiments, pd.concat([scores, costs], ignore_index=True)[COLUMNS])
    write_tidy(timed, tidy_costs(params, job.input_list("timing"), "timing"))
    job.write_sidecar(digest_file(experiments))
