"""`only`: the rows of a study that a scale makes; the others stay in the table and say so."""

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.reporting.row_status import DONE

LEFT_OUT = "not at this scale"


def params(tree: dict, scale: str = "smoke"):
    return load_params(overlays=[Layer("my.yaml", tree)], scale=scale)


def dfp(only: list[str], **changes) -> dict:
    return {"select": ["dfp"], "studies": {"dfp": {"only": only, **changes}}}


def test_only_the_named_rows_are_trained_and_measured():
    found = expand(params(dfp(["depth 2", "depth 0"])))
    assert list(found.runs) == ["dfp/depth-2/seed-0", "dfp/depth-2/seed-1", "dfp/depth-0/seed-0"]
    assert list(found.scorings) == list(found.runs)
    assert list(found.architectures) == ["dfp/depth-2", "dfp/depth-0"]
    rows = {row.label: row for row in found.rows["dfp"]}
    assert list(rows) == [f"depth {depth}" for depth in (5, 4, 3, 2, 1, 0)]
    for label, row in rows.items():
        made = label in ("depth 2", "depth 0")
        assert bool(row.runs) == (row.architecture is not None) == made
        assert row.status == (None if made else LEFT_OUT)
        assert row.reason == (None if made else "scale smoke leaves it out")
    assert rows["depth 5"].baseline == "depth 0"


def test_tables_get_every_row_and_figures_the_rows_that_are_made():
    plan = plan_everything(params(dfp(["depth 2", "depth 0"])))
    job = {
        name: plan.jobs[key] for key in plan.jobs for name in [f"{plan.jobs[key].step} {plan.jobs[key].name}"]
    }
    rows = job["table dfp_table1"].params["rows"]
    assert [row["name"] for row in rows if row.get("status") == LEFT_OUT] == [
        "depth 5", "depth 4", "depth 3", "depth 1",
    ]  # fmt: skip
    assert len(job["tabulate dfp"].inputs["cost"]) == 2
    for figure in ("dfp_tradeoff", "dfp_curves", "dfp_predictions"):
        assert [row["name"] for row in job[f"figure {figure}"].params["rows"]] in (
            ["depth 2", "depth 0"], ["depth 0", "depth 2"],
        )  # fmt: skip


def test_a_figure_of_one_row_that_is_left_out_shows_the_others():
    figure = {"kind": "predictions", "subject": "p", "title": "P", "rows": ["depth 5", "depth 0"]}
    plan = plan_everything(params(dfp(["depth 2", "depth 0"], figures=[figure])))
    (job,) = plan.of("figure")
    assert [row["name"] for row in job.params["rows"]] == ["depth 0"]


def test_a_run_that_another_study_starts_from_is_trained_all_the_same():
    # Table 6's 101s start from the one row of `ipg_pretrain`; here from a row that its study leaves out
    start = {"study": "ipg_positions", "row": "stage 4"}
    tree = {
        "select": ["ipg_voc", "ipg_positions"],
        "studies": {"ipg_positions": {"only": ["none"]}, "ipg_voc": {"init_from": start}},
    }
    found = expand(params(tree))
    assert "ipg_positions/position-stage-4/seed-0" in found.runs
    assert "ipg_positions/position-stage-4/seed-0" not in found.scorings


def test_a_row_whose_data_are_missing_may_be_left_out_as_well():
    only = ["PSPHead, ADE20K, without", "PSPHead, Cityscapes, without"]
    tree = {"select": ["scale_eq_decoders"], "studies": {"scale_eq_decoders": {"only": only, "figures": []}}}
    plan = plan_everything(params(tree, scale="paper"))
    (table,) = plan.of("table")
    status = {row["name"]: row.get("status") for row in table.params["rows"]}
    assert status["PSPHead, ADE20K, without"] == DONE
    assert status["PSPHead, Cityscapes, without"] == "no data"
    assert status["FCNHead, Cityscapes, with"] == status["FCNHead, ADE20K, with"] == LEFT_OUT


def test_a_caption_names_the_data_of_the_rows_that_are_made():
    tree = {
        "select": ["scale_eq_decoders"],
        "studies": {"scale_eq_decoders": {"only": ["PSPHead, ADE20K, without", "PSPHead, ADE20K, with"]}},
    }
    plan = plan_everything(params(tree))
    (table,) = plan.of("table")
    assert table.params["data"]["dataset"] == "ade20k"
    assert table.params["data"]["paper_dataset"] == "Cityscapes and ADE20K"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (
            dfp(["depth 0", "depth 9"]),
            "my.yaml: studies.dfp.only[1]: there is no row 'depth 9'; "
            "use depth 5, depth 4, depth 3, depth 2, depth 1 or depth 0",
        ),
        (
            dfp(["depth 2"]),
            "my.yaml: studies.dfp.only: leaves out 'depth 0', the baseline of 'depth 2'; add it",
        ),
        (
            dfp(["depth 1", "depth 0"], figures=[
                {"kind": "predictions", "subject": "p", "title": "P", "rows": ["depth 5"]}
            ]),
            "my.yaml: studies.dfp.figures[0].rows: `only` leaves out all of them; use depth 1 or depth 0",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(tree, expected):
    with pytest.raises(InputError) as refused:
        expand(params(tree))
    assert str(refused.value) == expected


def test_an_empty_list_is_refused():
    with pytest.raises(InputError, match=r"studies\.dfp\.only: "):
        params(dfp([]))
