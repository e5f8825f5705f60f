"""Trainings that start from another training: which run that is, in which order, and what is refused."""

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Experiments
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.planning.planned_job import Plan
from pipeline_src.planning.summary_jobs import plan_everything

STUDY = {
    "title": "one",
    "dataset": "voc2012",
    "recipe": "dfp",
    "model": {
        "backbone": "resnet50",
        "decoder": {"kind": "fcn", "num_convs": 0, "concat_input": False, "dropout": 0.0},
    },
}


def params_of(select: list[str], **studies: dict) -> Params:
    tree = {"select": select, "studies": {name: {**STUDY, **study} for name, study in studies.items()}}
    return load_params(overlays=[Layer("my.yaml", tree)], scale="lite")


def expanded(*select: str, **studies: dict) -> Experiments:
    return expand(params_of(list(select), **studies))


def planned(*select: str, **studies: dict) -> Plan:
    return plan_everything(params_of(list(select), **studies))


def first(epochs: int = 10) -> dict:
    return {"vary": {"recipe.epochs": [epochs, 20]}, "seeds": 2}


def second(**start: object) -> dict:
    label = "epochs 10"
    return {"init_from": {"study": "first", "row": label, **start}, "seeds": 2}


def test_every_seed_starts_from_the_one_run_that_is_named():
    found = expanded("first", "second", first=first(), second=second(seed=1))
    starts = {name: run.init_from for name, run in found.runs.items()}
    assert starts == {
        **{f"first/epochs-{epochs}/seed-{seed}": None for epochs in (10, 20) for seed in (0, 1)},
        **{f"second/base/seed-{seed}": "first/epochs-10/seed-1" for seed in (0, 1)},
    }


def test_a_study_that_is_not_selected_gives_the_run_and_no_more():
    plan = planned("second", first=first(), second=second())
    assert [job.name for job in plan.of("train")] == [
        "first/epochs-10/seed-0", "second/base/seed-0", "second/base/seed-1",
    ]  # fmt: skip
    assert [job.name for job in plan.of("evaluate")] == ["second/base/seed-0", "second/base/seed-1"]
    assert [job.name for job in plan.of("cost")] == ["second/base"]
    assert [job.name for job in plan.of("tabulate")] == ["second"]


def test_the_edge_and_the_identity_of_a_job_know_where_it_starts():
    plan = planned("second", first=first(), second=second())
    source, job, _ = plan.of("train")
    assert job.inputs["init_from"] == source.sidecar
    assert plan.needed_by(job)[-1] is source
    assert job.params["init_from"] == source.name
    plain = planned("second", second={"seeds": 2}).of("train")[0]
    assert job.digest != plain.digest
    other = planned("second", first=first(), second=second(seed=1)).of("train")[1]
    assert job.digest != other.digest
    # what leads to the source leads to the job: its recipe is in the lineage of the edge
    longer = planned("second", first=first(epochs=11), second=second(row="epochs 11"))
    assert longer.lineages(longer.of("train")[1]) != plan.lineages(job)


def test_without_init_from_the_identity_is_as_if_the_key_did_not_exist():
    (job,) = planned("second", second={}).of("train")
    assert job.params["init_from"] is None
    assert "init_from" not in job.inputs


def test_two_trainings_that_differ_in_their_start_only_are_two():
    axis = {"start": {"plain": {"init_from": None}, "first": {"init_from": {"study": "first"}}}}
    found = expanded("first", "second", first={"recipe": "dfp"}, second={"vary": axis})
    assert list(found.runs) == ["first/base/seed-0", "second/start-first/seed-0"]
    assert found.rows["second"][0].runs == ("first/base/seed-0",)


def test_a_chain_is_followed_to_its_end():
    plan = planned(
        "third",
        first={},
        second={"init_from": {"study": "first"}, "recipe": "resnet_ade20k"},
        third={"init_from": {"study": "second"}},
    )
    names = [job.name for job in plan.of("train")]
    assert names == ["first/base/seed-0", "second/base/seed-0", "third/base/seed-0"]


@pytest.mark.parametrize(
    ("studies", "message"),
    [
        (
            {"mine": {"init_from": {"study": "mine"}}},
            r"studies\.mine\.init_from: a training cannot start .*: mine 'base' <- mine 'base'",
        ),
        (
            {"mine": {"init_from": {"study": "other"}}, "other": {"init_from": {"study": "mine"}}},
            r"studies\.other\.init_from: a training cannot .*: mine 'base' <- other 'base' <- mine 'base'",
        ),
        (
            {"mine": {"init_from": {"study": "others"}}},
            r"studies\.mine\.init_from: 'others' is not in studies; use ",
        ),
        (
            {"mine": {"init_from": {"study": "other", "row": "best"}}, "other": {}},
            r"studies\.mine\.init_from: study 'other' has no row 'best'; set row to base",
        ),
        (
            {"mine": {"init_from": {"study": "other"}}, "other": first()},
            r"studies\.mine\.init_from: 'other' has several rows; set row to epochs 10",
        ),
        (
            {"mine": {"init_from": {"study": "other", "seed": 1}}, "other": {}},
            r"studies\.mine\.init_from: seed 1 is not trained; 'other' has 1",
        ),
        (
            {"mine": {"vary": {"a": {"b": {"init_from": {"study": "other", "rows": 1}}}}}, "other": {}},
            r"studies\.mine\.vary\.a\.b\.init_from\.rows: unknown",
        ),
    ],
)
def test_a_start_that_does_not_exist_is_refused_with_its_key(studies, message):
    with pytest.raises(InputError, match=message):
        expanded("mine", **studies)


def test_rows_of_one_study_may_follow_one_another():
    label = "recipe.epochs"
    axis = {
        "part": {
            "short": {label: 5, "recipe.freeze_bn_at_epoch": 2},
            "long": {label: 10, "init_from": {"study": "mine", "row": "short"}},
        }
    }
    tables = [{"number": 1, "title": "t", "row": "{part}", "metrics": ["miou"]}]
    found = expanded("mine", mine={"vary": axis, "tables": tables})
    assert found.runs["mine/part-long/seed-0"].init_from == "mine/part-short/seed-0"


def test_data_that_need_a_login_hold_up_what_starts_from_them():
    source = {
        "dataset": "cityscapes",
        "recipe": "resnet_cityscapes",
        "model": {"backbone": "resnet101c", "decoder": {"kind": "fcn"}},
    }
    params = params_of(["second"], first=source, second={"init_from": {"study": "first"}})
    plan = plan_everything(params)
    assert plan.of("train") == []
    (table,) = plan.of("tabulate")
    assert table.params["rows"][0]["status"] == "no data"
    assert "need a login" in table.params["rows"][0]["reason"]


def table_of(overlay: dict, name: str) -> dict:
    params = load_params(overlays=[Layer("my.yaml", overlay)], scale="lite")
    return next(job for job in plan_everything(params).of("table") if job.name == name).params


def test_tables_know_the_rows_that_start_from_another_run_and_what_is_fixed_at_random():
    table = table_of({"select": ["ipg_voc"]}, "ipg_table6")
    starts = [row.get("init_from") for row in table["rows"]]
    assert starts == [None] * 3 + ["ipg_pretrain/base/seed-0"] * 2
    assert table["fixed_at_random"] is None
    random = {"select": ["ipg_voc"], "backbones": {"resnet50": {"weights": "none"}}}
    assert table_of(random, "ipg_table6")["fixed_at_random"] == "batch normalisation and the stem and stage 1"


@pytest.mark.parametrize(
    ("frozen", "fixed"),
    [
        ([None, None], None),
        ([0, None], "the stem"),
        ([0, 1], "the stem and stage 1"),
        ([1, 3], "the stem and stage 1 to 3"),
        ([2, 0], "the stem and stage 1 to 2"),
    ],
)
def test_what_any_row_keeps_fixed_at_random_is_named(frozen: list[int | None], fixed: str | None):
    detector = {"kind": "faster_rcnn", "frozen_norm": False}
    study = {
        "title": "one",
        "dataset": "voc0712",
        "recipe": "ipg_voc",
        "model": {"backbone": "resnet50", "detector": detector},
        "vary": {
            "stages": {
                f"row {place}": {"model.detector.frozen_stages": one} for place, one in enumerate(frozen)
            }
        },
        "tables": [{"number": 1, "title": "t", "row": "{stages}", "metrics": ["ap"]}],
    }
    if frozen[0] == frozen[1]:
        study["vary"]["stages"]["row 1"]["recipe.epochs"] = 5
    random = {"backbones": {"resnet50": {"weights": "none"}}}
    overlay = {"select": ["mine"], "studies": {"mine": study}, **random}
    assert table_of(overlay, "mine_table1").get("fixed_at_random") == fixed
