"""Step `join`: the tidy tables of all studies in one, and a score of each study to compare by commit.

    params   `Join` of pipeline_src/reporting/report_params.py

metrics.json holds `{study: the best row's mean over seeds}`, of one score and in its unit: as much as `dvc
metrics` and `dvc exp show` can put on a screen. Everything else is in the tables.
"""

from collections.abc import Mapping
from statistics import fmean

import pandas as pd

from pipeline_src.files import digest_file, write_json
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.long_table import TIMED_COLUMNS, read_tidy, write_tidy
from pipeline_src.reporting.report_params import Join


def join(job: Job) -> None:
    """Write the joined tables, the metrics and the sidecar."""
    experiments = read_tidy(job.input_list("experiments"))
    write_tidy(job.outputs["experiments"], experiments)
    write_tidy(job.outputs["timed"], read_tidy(job.input_list("timed"), TIMED_COLUMNS))
    write_json(job.outputs["metrics"], best_rows(experiments, job.params_as(Join).scores))
    job.write_sidecar(digest_file(job.outputs["experiments"]))


def best_rows(experiments: pd.DataFrame, scores: Mapping[str, str]) -> dict[str, float]:
    """By study, the highest mean over seeds that a row has of the study's score.

    A run that serves two tables counts once. A study without a value is left out.
    """
    best = {}
    for study, metric in scores.items():
        lines = experiments[(experiments["study"] == study) & (experiments["metric"] == metric)]
        once = lines.drop_duplicates(["row", "run"])
        # `fmean` does not depend on the order of the seeds
        means = once.groupby("row", sort=False)["value"].agg(fmean)
        if len(means):
            best[study] = float(means.max())
    return best
