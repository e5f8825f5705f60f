# What all rules share.
#
# A rule names what goes in and what comes out, and asks the planner for the rest (pipeline_src/planning/steps.py
# is the one table of paths and resources). `job` is the job file: all that the command needs. `plan` is there where
# a job has to run: newer than all results, it makes Snakemake agree. An input may be no file, one, or several.

# `--cores all` must not start eight trainings on one GPU: the limit is what is visible here. A
# limit on the command line or in a profile wins.
if (
    "gpu" not in workflow.global_resources
    and PLAN.gpus
    and not PLAN.process.on_cluster()
):
    workflow.register_resource("gpu", len(PLAN.gpus))
