"""Planning asks a form of equalizers what it needs."""

from dataclasses import replace
from typing import get_args, get_type_hints

import pytest

from pipeline_src.config.costing import costing
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.models.fusion.equalizer_options import FORMS, EqualizerOptions
from pipeline_src.planning.graph import GraphBuilder


def test_every_form_is_declared():
    assert get_args(get_type_hints(EqualizerOptions)["form"]) == tuple(FORMS)


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("in_network", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_a_form_says_whether_it_is_calibrated_and_costs_something(
    form: str, calibrated: bool, in_network: bool, monkeypatch: pytest.MonkeyPatch
):
    model = {"backbone": "resnet50", "decoder": {"kind": "psp"}, "equalizer": {"form": form}}
    study = {"title": "one", "dataset": "voc2012", "recipe": "dfp", "model": model}
    tree = {"studies": {"one": study}, "select": ["one"], "seeds": 1}
    monkeypatch.setitem(FORMS, form, replace(FORMS[form], calibrated=calibrated, in_network=in_network))
    graph = GraphBuilder(load_params(overlays=[Layer("my.yaml", tree)]))
    (run,) = graph.experiments.runs.values()
    assert (graph.calibration(run) is not None) == calibrated
    assert ("statistics" in graph.training(run).inputs) == calibrated
    assert (costing(graph.params, run.model)["equalizer"] is not None) == in_network
