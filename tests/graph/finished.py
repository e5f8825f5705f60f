"""Make a checkout look as if every job of a scale had run: `python -m tests.graph.finished [ARGS]`.

Outputs hold arbitrary text; sidecars are those that the steps would have left. ARGS are those of
`python -m pipeline_src plan`. Lets the graph tests ask what an edit reruns, without training.
"""

import sys
from functools import cache
from pathlib import Path

from pipeline_src.cli.main import _params, parser
from pipeline_src.files import content_of, digest_of, write_json, write_text
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.provenance import sidecar
from pipeline_src.provenance.job import Job


def finish(job: Job) -> None:
    """Write a job's outputs, and its sidecar as every step does."""
    for name, path in job.outputs.items():
        if name == "sidecar":
            continue
        if path.endswith(".json"):
            write_json(path, {"content": digest_of([name, job.digest])})
        elif Path(path).suffix:
            write_text(path, f"{name} of {job.step} {job.name} {job.digest}\n")
        else:
            write_text(f"{path}/file.txt", "in a folder\n")
    contents = [content_of(path) for name in sorted(job.inputs) for path in job.input_list(name)]
    checksums = {key: job.params[key] for key in ("md5", "sha1", "sha256") if key in job.params}
    job.write_sidecar(digest_of([job.digest, contents]), **checksums)


def finish_file(path: str) -> None:
    """Finish the job of a job file."""
    finish(Job.load(path))


def main() -> None:
    """Finish all jobs of the scale and overlays on the command line."""
    sidecar.describe_commit = cache(sidecar.describe_commit)  # hundreds of jobs at one commit
    options = parser().parse_args(["plan", *sys.argv[1:]])
    plan = plan_everything(_params(options))
    for job in plan.jobs.values():
        finish(plan.as_job(job))


if __name__ == "__main__":
    main()
