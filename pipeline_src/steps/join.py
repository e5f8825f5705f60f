"""Step `join`: the tidy tables of all studies in one, and their means as metrics to compare by commit.

    params   {"studies": ["dfp", ...]}
    inputs   {"experiments": [experiments.csv of every study], "timed": [experiments_timed.csv ...]}
    outputs  {"sidecar", "experiments", "timed", "metrics": metrics.json}

metrics.json holds `{study: {row: {metric: mean over seeds}}}`, without times and memory: `dvc metrics`
shows and compares it.
"""

import argparse
from collections.abc import Sequence
from statistics import fmean

from pipeline_src.errors import run_command
from pipeline_src.files import digest_file, write_json
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.tidy import COLUMNS, TIMED_COLUMNS, concatenate, read_records

Means = dict[str, dict[str, dict[str, float]]]


def join(job: Job) -> None:
    """Write the joined tables, the metrics and the sidecar."""
    experiments, timed = job.inputs["experiments"], job.inputs["timed"]
    assert isinstance(experiments, list) and isinstance(timed, list)
    concatenate(experiments, job.outputs["experiments"], COLUMNS)
    concatenate(timed, job.outputs["timed"], TIMED_COLUMNS)
    write_json(job.outputs["metrics"], means_by_row(job.outputs["experiments"]))
    job.write_sidecar(digest_file(job.outputs["experiments"]))


def means_by_row(path: str) -> Means:
    """Mean over seeds of every metric, by study and row; a run that serves two tables counts once."""
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for record in read_records(path, COLUMNS):
        key = (record["study"], record["row"], record["metric"])
        values.setdefault(key, {})[record["run"]] = record["value"]
    means: Means = {}
    for (study, row, metric), by_run in values.items():
        means.setdefault(study, {}).setdefault(row, {})[metric] = fmean(by_run.values())
    return means


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job file named on the command line."""
    parser = argparse.ArgumentParser(description="Join the tidy tables of all studies.")
    parser.add_argument("job", help="job file (JSON)")
    join(Job.load(parser.parse_args(arguments).job, "join"))


if __name__ == "__main__":
    run_command(main)
