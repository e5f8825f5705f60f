"""Entries of `figures`: what each kind declares is what a study can say of it."""

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.planning.summary_jobs import plan_everything


def with_figure(study="scale_eq_encoders", **figure):
    figure = {"subject": "mine", "title": "t", **figure}
    return load_params(overlays=[Layer("my.yaml", {"studies": {study: {"figures": [figure]}}})])


def test_pictures_that_no_evaluation_keeps_are_refused():
    study = {"figures": [{"kind": "predictions", "subject": "p", "title": "t"}], "evaluation": "bare"}
    tree = {"select": ["dfp"], "evaluations": {"bare": {"overlays": 0}}, "studies": {"dfp": study}}
    message = r"studies\.dfp\.figures\.?\[?0\]?\.kind: shows predictions, .* set its overlays above 0"
    with pytest.raises(InputError, match=message):
        plan_everything(load_params(overlays=[Layer("my.yaml", tree)], scale="smoke"))


@pytest.mark.parametrize("kept", [(2, 5), (5, 2), (3, 3)])
def test_a_figure_shows_as_many_pictures_as_every_row_has(kept):
    rows = {
        f"row {place}": {"evaluation.overlays": count, "first_seed": place}
        for place, count in enumerate(kept)
    }
    study = {
        "title": "t",
        "dataset": "voc2012",
        "recipe": "dfp",
        "model": {"backbone": "resnet50", "decoder": {"kind": "fcn"}},
        "vary": {"pictures": rows},
        "figures": [{"kind": "predictions", "subject": "p", "title": "t"}],
    }
    tree = {"select": ["mine"], "studies": {"mine": study}}
    plan = plan_everything(load_params(overlays=[Layer("my.yaml", tree)], scale="smoke"))
    (figure,) = plan.of("figure")
    assert figure.params["images"] == min(kept)


def test_a_kind_has_its_own_options_beside_the_shared_ones():
    (figure,) = (
        with_figure(kind="tradeoff", costs=["flops"], on_demand=True).studies["scale_eq_encoders"].figures
    )
    assert (figure.subject, figure.rows, figure.on_demand) == ("mine", None, True)
    assert figure.given().costs == ["flops"] and figure.given().score is None


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"kind": "pie"}, r"kind: 'pie' is not allowed; use tradeoff, .*gradient_scales"),
        ({"kind": "curves", "costs": ["flops"]}, r"costs: unknown key; allowed here: .*score"),
        ({"kind": "tradeoff", "costs": []}, r"costs: \[\] is not allowed"),
        ({"kind": "upsampled_variance", "simulation": {"confirm": 17}}, r"confirm 17: .* the batch has 16"),
        ({"kind": "upsampled_variance", "simulation": {"variances": [0.5, 0.1]}}, r"variances 0\.5 to 0\.1"),
        ({"kind": "upsampled_variance", "simulation": {"ratios": [2, 2]}}, r"ratios \[2, 2\]; use different"),
        ({"kind": "upsampled_variance", "simulation": {"points": 1}}, r"points: 1 is not allowed"),
    ],
)
def test_what_a_kind_cannot_be_told_is_one_line(figure, message):
    with pytest.raises(InputError, match=r"studies\.scale_eq_encoders\.figures\[0\].*" + message) as refusal:
        with_figure(**figure)
    assert str(refusal.value).count("\n") == 0


@pytest.mark.parametrize(
    ("study", "kind", "message"),
    [
        ("dfp", "detections", "'detections' needs boxes, and this study has masks"),
        ("ipg_voc", "predictions", "'predictions' needs masks, and this study has boxes"),
    ],
)
def test_a_figure_of_another_task_is_refused(study, kind, message):
    with pytest.raises(InputError, match=message):
        expand(with_figure(study, kind=kind))
