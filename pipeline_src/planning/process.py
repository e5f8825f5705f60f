"""What the Snakefile knows of the process that reads it. Standard library only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline_src.provenance.job import Paths


@dataclass(frozen=True)
class Process:
    """A process that reads the Snakefile: the one that plans, or one that runs single jobs of a plan.

    A process that is not `main` runs single jobs of one.
    `forced`: the user has jobs run that need not. `cores` are those that Snakemake was given.
    `on_cluster()` says whether jobs are of a cluster, or would be if this were no dry run; `shares_plan()`
    whether other machines may read the plan. Both are known only when Snakemake starts, after the Snakefile
    was read. `granted` are the GPUs that the user gives each job of a step (`--set-resources STEP:gpu=N`),
    `gpu_limit()` those that all jobs may have together (`--resources gpu=N`, or as many as are visible here).
    `ancient` is Snakemake's mark of an input whose age says nothing.
    """

    main: bool = True
    forced: bool = False
    cores: int = 1
    on_cluster: Callable[[], bool] = lambda: False
    shares_plan: Callable[[], bool] = lambda: False
    granted: Mapping[str, int] = field(default_factory=dict)
    gpu_limit: Callable[[], int | None] = lambda: None
    ancient: Callable[[Paths], Any] = field(default=lambda paths: paths)

    @classmethod
    def of(cls, workflow: Any, ancient: Callable[[Paths], Any]) -> "Process":
        """The process that holds Snakemake's `workflow`."""
        settings = workflow.dag_settings  # none where nothing is to run, as for `--lint`
        resources = workflow.resource_settings

        def on_cluster() -> bool:
            if workflow.remote_exec:
                return True
            if workflow.executor_plugin is None or workflow.dryrun:
                # That there is a limit of cluster jobs is all that tells what would do them.
                return resources.nodes is not None
            return bool(workflow.non_local_exec)

        def gpu_limit() -> int | None:
            limit = workflow.global_resources.get("gpu")
            return limit.value if limit is not None else None

        return cls(
            main=workflow.is_main_process,
            forced=bool(settings and (settings.forceall or settings.forcerun)),
            cores=workflow.global_resources["_cores"].value or 1,
            on_cluster=on_cluster,
            shares_plan=lambda: bool(workflow.non_local_exec),
            granted=granted_gpus(resources.overwrite_resources),
            gpu_limit=gpu_limit,
            ancient=ancient,
        )


def granted_gpus(said: Mapping[str, Any]) -> dict[str, int]:
    """GPUs by step, of what Snakemake was told with `--set-resources` or in a profile.

    -1 stands for what is no number: an expression, of which the value would be known too late.
    """
    found = {}
    for step, resources in said.items():
        if (resource := dict(resources).get("gpu")) is not None:
            value = getattr(resource, "raw", resource)
            found[step] = int(str(value)) if str(value).isdecimal() else -1
    return found
