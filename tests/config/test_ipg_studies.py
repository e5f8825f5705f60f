"""IPG-Net's tables as `params.yaml` plans them: every row, what is shared, and where Table 6 starts."""

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Experiments
from pipeline_src.config.load import load_params
from pipeline_src.reporting.reference import read_paper_values

TABLES = {
    1: "ipg_cascade", 2: "ipg_fusion", 3: "ipg_stages", 4: "ipg_positions", 5: "ipg_retinanet", 6: "ipg_voc",
}  # fmt: skip
SCALES = ("smoke", "lite", "paper")


@pytest.fixture(scope="module", params=SCALES)
def found(request) -> Experiments:
    return expand(load_params(scale=request.param))


def model_of(found: Experiments, study: str, label: str) -> dict:
    (row,) = [row for row in found.rows[study] if row.label == label]
    return found.runs[row.runs[0]].model


@pytest.mark.parametrize(("number", "study"), TABLES.items())
def test_every_row_of_a_table_is_planned_at_every_scale(found, number, study):
    printed = {
        value["row"]
        for value in read_paper_values("workflow/reference/paper_values.csv")
        if value["table"] == f"ipg_table{number}"
    }
    assert printed == {row.label for row in found.rows[study]}
    assert all(row.runs and row.status is None for row in found.rows[study])


def test_rows_that_need_the_same_training_share_it(found):
    rows = {(study, row.label): row.runs for study in TABLES.values() for row in found.rows[study]}
    assert rows["ipg_fusion", "sum"] == rows["ipg_stages", "5 stages"]
    assert rows["ipg_stages", "4 stages"] == rows["ipg_positions", "stages 2+3+4"]
    for net in ("IPG-Net-50", "IPG-Net-101"):
        assert rows["ipg_voc", f"IPG RCNN, {net}"] == rows["ipg_voc", f"IPG RCNN++ (three scales), {net}"]
    names = {name for runs in rows.values() for name in runs}
    seeds = len(rows["ipg_fusion", "sum"])
    assert len(names) == (1 + 3 + 4 + 6 + 2 + 5 - 4) * seeds


def test_the_101s_of_table_6_start_from_one_run_on_coco(found):
    starts = {run.init_from for run in found.runs.values() if run.init_from}
    assert starts == {"ipg_pretrain/base/seed-0"}
    (source,) = starts
    assert (found.runs[source].dataset, found.runs[source].init_from) == ("coco", None)
    assert [name for name in found.runs if name.startswith("ipg_pretrain/")] == [source]
    mine = {name for name, run in found.runs.items() if run.init_from}
    assert mine == set(found.rows["ipg_voc"][3].runs)
    for name in mine:
        ours, theirs = found.runs[name].model, found.runs[source].model
        assert {**ours, "num_classes": 0} == {**theirs, "num_classes": 0}


def test_multi_scale_rows_are_another_evaluation(found):
    single, multi = found.rows["ipg_voc"][1:3]
    assert single.runs == single.scorings == multi.runs
    assert set(multi.scorings).isdisjoint(single.scorings)
    assert {len(found.scorings[name].evaluation.scales) for name in single.scorings} == {1}
    assert {len(found.scorings[name].evaluation.scales) for name in multi.scorings} == {3}


def test_networks_are_those_of_the_paper():
    found = expand(load_params(scale="paper"))
    for label in ("sum", "product", "concat"):
        pyramid = model_of(found, "ipg_fusion", label)["pyramid"]
        assert (pyramid["fusion"], pyramid["positions"], pyramid["stages"]) == (label, [2, 3, 4], 5)
    for stages in (4, 5, 6):
        model = model_of(found, "ipg_stages", f"{stages} stages")
        assert (model["pyramid"]["stages"], model["pyramid"]["keep"]) == (stages, False)
        assert model["detector"]["levels"] == list(range(2, stages + 2))
    assert model_of(found, "ipg_stages", "7 (keep) stages")["pyramid"]["keep"] is True
    assert model_of(found, "ipg_positions", "none")["pyramid"] is None
    assert model_of(found, "ipg_positions", "stage 1")["pyramid"]["positions"] == [1]
    guided, plain = (model_of(found, "ipg_retinanet", label) for label in ("IPG-Net", "ResNet"))
    assert (guided["pyramid"]["positions"], guided["pyramid"]["stages"]) == ([2, 3, 4], 7)
    assert (plain["pyramid"]["positions"], plain["pyramid"]["stages"]) == ([], 7)
    assert guided["detector"] == plain["detector"]
    assert (plain["detector"]["levels"], plain["detector"]["extra"]) == ([5, 6, 7, 8], "none")
    cascade = model_of(found, "ipg_cascade", "IPG RCNN, IPG-Net-101")
    assert (cascade["detector"]["kind"], cascade["pyramid"]["positions"]) == ("cascade_rcnn", [3])
    assert [stage["iou"] for stage in cascade["detector"]["stages"]] == [0.5, 0.6, 0.7]
    assert cascade["backbone"]["timm"].startswith("resnet101.")


def test_the_recipe_is_the_papers():
    found = expand(load_params(scale="paper"))
    for name, run in found.runs.items():
        if not name.startswith("ipg_"):
            continue
        recipe = run.recipe
        optimizer = recipe.optimizer
        assert (optimizer.kind, optimizer.lr, recipe.batch, recipe.epochs) == (
            "sgd",
            0.01,
            32,
            12,
        )
        assert recipe.schedule.milestones == [7, 11]
        assert recipe.warmup.iterations == 500
        assert recipe.warmup.ratio == pytest.approx(1 / 3, abs=1e-6)
        expected = [1000, 600] if run.dataset == "voc0712" else [1333, 800]
        assert recipe.augment.scales == [expected]
