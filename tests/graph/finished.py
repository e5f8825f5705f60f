"""Make a checkout look as if every job of a scale had run: `python -m tests.graph.finished [ARGS]`.

Outputs hold arbitrary text; sidecars are those that the steps would have left. ARGS are those of
`python -m pipeline_src plan`. Lets the graph tests ask what an edit reruns, without training.
"""

import sys
from pathlib import Path
from typing import Any

from pipeline_src.cli.main import _params, parser
from pipeline_src.files import content_of, digest_of, write_json, write_text
from pipeline_src.planning.jobs import PlannedJob
from pipeline_src.planning.summaries import plan_everything
from pipeline_src.provenance.job import Job


def finish(job: PlannedJob, lineages: dict[str, Any]) -> None:
    """Write a job's outputs and its sidecar; `lineages` are those of its inputs."""
    for name, path in job.outputs.items():
        if name == "sidecar":
            continue
        if path.endswith(".json"):
            write_json(path, {"content": digest_of([name, job.digest])})
        elif Path(path).suffix:
            write_text(path, f"{name} of {job.step} {job.name} {job.digest}\n")
        else:
            write_text(f"{path}/file.txt", "in a folder\n")
    inputs = {
        name: [_input(*pair) for pair in zip(paths, lineages[name], strict=True)]
        if isinstance(paths, list)
        else _input(paths, lineages[name])
        for name, paths in job.inputs.items()
    }
    record = {"step": job.step, "digest": job.digest, "params": job.params, "code": job.code}
    write_json(
        job.sidecar,
        {
            "content": digest_of([job.digest, inputs]),
            "job": record,
            "inputs": inputs,
            **{key: job.params[key] for key in ("md5", "sha1", "sha256") if key in job.params},
            "timing": {"seconds": 1.0},
        },
    )


def _input(path: str, lineage: str | None) -> dict[str, Any]:
    return {"path": path, "content": content_of(path), "lineage": lineage}


def finish_file(path: str) -> None:
    """Finish the job of a job file."""
    job = Job.load(path)
    planned = PlannedJob(job.step, job.name, job.scale, job.params, job.outputs, job.inputs)
    planned.__dict__["code"] = job.code
    finish(planned, job.lineages)


def main() -> None:
    """Finish all jobs of the scale and overlays on the command line."""
    options = parser().parse_args(["plan", *sys.argv[1:]])
    plan = plan_everything(_params(options))
    for job in plan.jobs.values():
        finish(job, plan.lineages(job))


if __name__ == "__main__":
    main()
