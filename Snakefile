# Fusebench: from a clean clone to the tables and figures of the papers in params.yaml.
#
#   snakemake --cores all                                   the scale of params.yaml (demo)
#   snakemake --cores all --config scale=lite               another scale
#   snakemake --cores all --configfile my.yaml              your differences, your data
#   snakemake --cores all results/demo/tables/dfp_table1.md one table and what it needs
#
# What an experiment is stands in params.yaml, what a machine has in profiles/. The planner in
# pipeline_src/planning decides which jobs there are and which are fresh; the rules below only say
# how one is run. Nothing here imports torch.

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")

# The package is imported from here, and jobs are run here.
sys.path.insert(0, str(Path(workflow.main_snakefile).parent))

from pipeline_src.planning.plan_file import PLAN_VARIABLE
from pipeline_src.planning.process import Process
from pipeline_src.planning.workflow import open_plan

PLAN = open_plan(
    given=workflow.config_settings.config,
    overlays=[os.path.relpath(path) for path in workflow.overwrite_configfiles],
    process=Process.of(workflow, ancient),
)
PYTHON = sys.executable


# Jobs on other machines read the plan that started them.
envvars:
    PLAN_VARIABLE,


wildcard_constraints:
    scale=PLAN.scale,
    figure="[^/]+",


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/cost.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        PLAN.targets("report"),


rule data:
    input:
        PLAN.targets("manifest"),


rule experiments:
    input:
        PLAN.targets("join"),


# Before the first job is handed to SLURM, what would keep the run from ever ending is put right
# or refused.
#
# Snakemake's limit of 100 jobs a second starts a timer whenever a job starts or ends, and each timer
# has the ready jobs weighed once a second for the rest of the run: by the 200th job that is a core's
# whole work. Nobody here needs that limit; one that the user sets is kept.
onstart:
    if workflow.is_main_process and workflow.executor_plugin.name == "slurm":
        PLAN.prepare_slurm(
            workflow.executor_settings,
            any(job.resources.get("gpu") for job in workflow.dag.needrun_jobs()),
        )
    limiter = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    if workflow.is_main_process:
        logger.info(PLAN.closing_line())
