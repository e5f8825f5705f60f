"""A study that names no table and no figure gets the usual ones, and plans."""

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.planning.summary_jobs import plan_everything


def load(study, **more):
    overlay = {"select": ["mine"], "studies": {"mine": study}, **more}
    return load_params(overlays=[Layer("my.yaml", overlay)], scale="paper")


def bare(key, **changes):
    """A study of `params.yaml` without its tables and figures."""
    study = {name: value for name, value in read_yaml("params.yaml")["studies"][key].items()
             if name not in ("tables", "figures", "paper", "prefix", "controls")}  # fmt: skip
    return {**study, **changes}


@pytest.mark.parametrize(
    ("key", "metrics", "kinds"),
    [
        ("cross", ["miou"], ["pareto", "curves", "predictions"]),
        ("cross_boxes", ["ap", "ap50"], ["pareto", "curves", "detections"]),
        ("deepfuse", ["mask_ap", "mask_ap50"], ["pareto", "curves", "detections"]),
    ],
)
def test_the_task_says_which_scores_and_figures(key, metrics, kinds, tmp_path):
    params = load(bare(key), datasets={"cityscapes_instances": {"source": read_scenes()}})
    study = params.studies["mine"]
    costs = ["parameters", "flops", "training_memory", "testing_time"]
    assert study.tables[0].metrics == [*metrics, *costs]
    assert [figure.kind for figure in study.figures] == kinds
    plan = plan_everything(params)
    assert [job.name for job in plan.of("table")] == ["mine_table1"]
    assert len(plan.of("figure")) == 3


def read_scenes():
    return read_yaml("params.yaml")["scales"]["demo"]["datasets"]["coco"]["source"]


def test_rows_are_labelled_by_their_axes():
    vary = {"model.pyramid.depth": [0, 2], "equalizer": {"without": {"model.equalizer": None}}}
    params = load(bare("dfp", vary=vary, baseline={}))
    assert [row.label for row in expand(params).rows["mine"]] == ["depth 0, without", "depth 2, without"]
    # nothing to compare with: no figure of costs beside a baseline
    assert [figure.kind for figure in params.studies["mine"].figures] == ["curves", "predictions"]


def test_a_study_with_a_figure_alone_keeps_to_it():
    figure = {"kind": "curves", "subject": "c", "title": "t"}
    study = load(bare("dfp", figures=[figure])).studies["mine"]
    assert not study.tables and len(study.figures) == 1
