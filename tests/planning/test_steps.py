"""The table of steps and what is made of it: rules that name all of it, functions that take its options."""

import importlib
import inspect
import re
from types import SimpleNamespace

import pytest
from snakemake.cli import parse_args

from pipeline_src.errors import InputError
from pipeline_src.planning.plan_file import PlanFile, PlannedFile
from pipeline_src.planning.process import Process
from pipeline_src.planning.steps import EXPORT_SUBMISSION, STEPS
from pipeline_src.planning.workflow import WorkflowPlan

RULES = [name for name in STEPS if name != EXPORT_SUBMISSION.name]


def rule_text(project, name: str) -> str:
    text = "\n".join(path.read_text() for path in sorted((project / "workflow/rules").glob("*.smk")))
    (found,) = re.findall(rf"^rule {name}:\n((?:    .*\n|\n)+)", text, flags=re.MULTILINE)
    return found


@pytest.mark.parametrize("name", RULES)
def test_a_rule_names_every_input_and_output_of_its_step_and_no_path(project, name):
    text = rule_text(project, name)
    assert re.findall(r"^        (\w+)=\w+\.input\(\"(\w+)\"\),$", text, flags=re.MULTILINE) == [
        (one, one) for one in STEPS[name].inputs
    ]
    assert re.findall(r"\.output\(\"(\w+)\"\)", text) == list(STEPS[name].outputs)
    assert "results/" not in text and "work/" not in text and "data/" not in text
    for part in ("log", "benchmark", "threads", "resources", "message"):
        assert f"{name.upper()}.{part}" in text
    assert ("{resources.gpu}" in text) == STEPS[name].gpu
    assert ("localrule:" in text) == STEPS[name].local


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_the_function_of_a_step_takes_the_job_and_its_options(step):
    module, attribute = step.function.split(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
    assert list(parameters) == ["job", *(name for name in parameters if name in step.options)]
    assert set(step.options) < set(parameters)


@pytest.mark.parametrize("name", RULES)
def test_paths_of_a_step_are_of_its_wildcard(name):
    step = STEPS[name]
    assert bool(step.wildcard) != bool(step.only)
    for path in [*step.outputs.values(), step.log, step.benchmark]:
        fields = set(re.findall(r"\{(\w+)\}", path))
        assert fields <= {"scale", step.wildcard} and (not step.wildcard or step.wildcard in fields)


def plan(**options) -> WorkflowPlan:
    machine = {name: options.pop(name) for name in ("warm", "mirror", "accept_unverified") if name in options}
    jobs = {"train": {"a/seed-0": PlannedFile("work/demo/jobs/train/a/seed-0.0.json", "not done yet")}}
    return WorkflowPlan(PlanFile("demo", jobs, **machine), "work/demo/plans/1.json", Process(**options))


def test_options_reach_the_steps_that_take_them():
    own = plan(warm=True, mirror="my mirror", accept_unverified=True)
    assert own.rule("train").options == "--warm"
    assert own.rule("fetch").options == "--mirror 'my mirror' --accept-unverified"
    assert own.rule("table").options == plan().rule("fetch").options == ""


def test_data_is_shared_by_scales_and_its_logs_are_not():
    assert plan().rule("fetch").log == "work/demo/logs/fetch/{archive}.log"
    assert plan().rule("train").log == "work/{scale}/logs/train/{run}.log"


def test_a_job_to_run_has_the_plan_as_an_input():
    rule = plan().rule("train")
    assert rule.plan(SimpleNamespace(run="a/seed-0")) == ["work/demo/plans/1.json"]
    with pytest.raises(InputError, match="there is no run 'b' at scale demo"):
        rule.plan(SimpleNamespace(run="b"))


def test_the_profile_of_a_cluster_is_not_overridden_by_the_default_one(project, monkeypatch):
    monkeypatch.chdir(project)
    _, cluster = parse_args(["--workflow-profile", "profiles/slurm"])
    _, here = parse_args([])
    assert (cluster.executor, cluster.retries, here.retries) == ("slurm", 3, 1)
    for name in ("rerun_triggers", "rerun_incomplete", "keep_going", "show_failed_logs", "logger"):
        assert getattr(cluster, name) == getattr(here, name), name
    assert not (cluster.set_resources or cluster.set_threads), "what a job needs stands in the table of steps"
    for text in (project / "README.md", project / "docs/cluster.md"):
        assert "snakemake --workflow-profile profiles/slurm" in text.read_text()
        assert "snakemake --profile" not in text.read_text()
