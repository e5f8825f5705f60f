"""What the reporting steps load: they read files only, so they stay light."""

import pytest


@pytest.mark.parametrize("step", ["tabulate", "table", "figure", "report"])
def test_reporting_steps_load_no_torch_and_no_workflow_system(run_python, step):
    loaded = run_python(f"import sys, pipeline_src.steps.{step}; print(*sys.modules)").split()
    assert not {"torch", "torchvision", "timm", "pydantic", "snakemake", "dvc"} & set(loaded)
    assert f"pipeline_src.steps.{step}" in loaded


def test_the_planner_can_read_the_reference_with_the_standard_library(run_python):
    code = "import sys, pipeline_src.reporting.reference as r; print(*sys.modules)"
    assert not {"numpy", "scipy", "matplotlib", "jinja2"} & set(run_python(code).split())


def test_a_table_needs_no_matplotlib(run_python):
    loaded = run_python("import sys, pipeline_src.steps.table; print(*sys.modules)").split()
    assert "matplotlib" not in loaded
