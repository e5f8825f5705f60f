# What all rules share: a job's file and inputs from the planner, and what the machine grants.


def job_inputs(step):
    """Input function of a step: its job file and its inputs, as the planner knows them."""

    def of(wildcards):
        forced = workflow.dag_settings.forceall or workflow.dag_settings.forcerun
        return {
            name: ancient(paths) if fresh else paths
            for name, (paths, fresh) in PLAN.inputs(
                step, wildcards, bool(forced)
            ).items()
        }

    return of


def gpus(wildcards):
    """One GPU for every job that can use one, if there are any (or if a cluster has them)."""
    return 1 if PLAN.gpus or workflow.non_local_exec else 0


def job_threads(step):
    """The thread count of a job's own parameters, which also stands in its identity."""

    def of(wildcards):
        return PLAN.threads(step, wildcards)

    return of


def all_cores():
    """Every core that Snakemake was given; where a cluster schedules, a profile says how many."""
    return max(1, workflow.global_resources["_cores"].value or 1)


def larger_on_retry(megabytes):
    """Memory that grows with every attempt."""

    def of(wildcards, attempt):
        return megabytes * attempt

    return of


# Many short jobs spend most of their time on importing torch; see pipeline_src/warm.py.
WARM = " --warm" if PLAN.params.warm_start else ""

# `--cores all` must not start eight trainings on one GPU: the limit is what is visible here. A
# limit on the command line or in a profile wins.
if "gpu" not in workflow.global_resources and PLAN.gpus and not workflow.non_local_exec:
    workflow.register_resource("gpu", len(PLAN.gpus))
