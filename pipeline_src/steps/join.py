"""Step `join`: the tidy tables of all studies in one, and their means as metrics to compare by commit.

    params   {}

metrics.json holds `{study: {row: {metric: mean over seeds}}}`, without times and memory: `dvc metrics`
shows and compares it.
"""

from statistics import fmean

import pandas as pd

from pipeline_src.files import digest_file, write_json
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.long_table import TIMED_COLUMNS, read_tidy, write_tidy

Means = dict[str, dict[str, dict[str, float]]]


def join(job: Job) -> None:
    """Write the joined tables, the metrics and the sidecar."""
    experiments = read_tidy(job.input_list("experiments"))
    write_tidy(job.outputs["experiments"], experiments)
    write_tidy(job.outputs["timed"], read_tidy(job.input_list("timed"), TIMED_COLUMNS))
    write_json(job.outputs["metrics"], means_by_row(experiments))
    job.write_sidecar(digest_file(job.outputs["experiments"]))


def means_by_row(experiments: pd.DataFrame) -> Means:
    """Mean over seeds of every metric, by study and row; a run that serves two tables counts once."""
    keys = ["study", "row", "metric"]
    once = experiments.drop_duplicates([*keys, "run"])
    # `fmean` does not depend on the order of the seeds
    found = once.groupby(keys, sort=False)["value"].agg(fmean).reset_index()
    means: Means = {}
    for study, row, metric, mean in found.itertuples(index=False):
        means.setdefault(study, {}).setdefault(row, {})[metric] = mean
    return means
