"""Every block of docs/library.md runs as it stands there."""

import re
import shutil

import pytest

from pipeline_src.config.load import load_params
from pipeline_src.planning.graph import GraphBuilder
from tests.conftest import PROJECT
from tests.graph.finished import finish
from tests.predicting.finished_run import pretend_training

PAGE = (PROJECT / "docs/library.md").read_text()
BLOCKS = re.findall(r"^## (.*?)$|```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)


def named_blocks():
    """The blocks below each heading."""
    heading, found = "", []
    for title, code in BLOCKS:
        heading = title or heading
        if code:
            found.append(pytest.param(code, id=f"{len(found)} {heading}"))
    return found


@pytest.fixture
def project_of_a_trained_run(tmp_path, monkeypatch):
    """A working directory like the project's in which a run looks trained."""
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    shutil.copytree(
        PROJECT / "data", tmp_path / "data", ignore=lambda _, names: [n for n in names if "." not in n]
    )
    monkeypatch.chdir(tmp_path)
    graph = GraphBuilder(load_params(scale="demo"))
    scoring = graph.experiments.scorings["dfp/depth-2/seed-0"]
    graph.training(graph.experiments.runs[scoring.run])
    for job in graph.plan.jobs.values():
        finish(graph.plan.as_job(job))
    pretend_training(graph, scoring)


@pytest.mark.parametrize("code", named_blocks())
def test_a_block_runs(code, project_of_a_trained_run):
    variables: dict = {}
    exec(compile(code, "docs/library.md", "exec"), variables)
    check(variables)


def check(there):
    """What the page says of a block's variables."""
    if "maps" in there:
        assert [tuple(one.shape[2:]) for one in there["maps"]] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    if "losses" in there:
        assert set(there["losses"]) == {
            "loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"
        }  # fmt: skip
    if "found" in there:
        assert {"boxes", "labels", "scores"} <= set(there["found"])
    if "logits" in there and "section" in there:
        assert there["logits"].shape == (1, 4, 64, 96)
    if "mask" in there:
        assert there["mask"].shape == (60, 80) and len(there["masks"]) == 2
        assert there["model"].classes[0] == "background"


def test_the_page_has_a_block_for_each_thing():
    assert len(named_blocks()) == 7
