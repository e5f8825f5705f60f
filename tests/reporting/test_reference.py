"""The tracked tables of printed numbers and assumptions."""

import json
import re

import pytest

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.summary_inputs import SummaryJobs
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.reporting.metric_table import METRICS
from pipeline_src.reporting.reference import (
    printed_in,
    read_assumptions,
    read_paper_values,
    read_quoted_values,
)
from tests.reporting.made_up_study import REFERENCE, REPOSITORY

PAPER = REFERENCE / "paper_values.csv"
QUOTED = REFERENCE / "quoted_values.csv"
ASSUMPTIONS = REFERENCE / "assumptions.csv"

# Typed from the paper's Table 1, from depth 5 down to 0.
DFP_MEMORY_MB = (4677, 4459, 3994, 3609, 3349, 3275)
DFP_SECONDS = (0.098, 0.095, 0.086, 0.063, 0.059, 0.050)
DFP_MIOU = (69.87, 69.66, 69.72, 69.69, 68.26, 63.79)


@pytest.mark.parametrize(
    ("metric", "unit", "split", "printed"),
    [
        ("training_memory", "MB", "", DFP_MEMORY_MB),
        ("testing_time", "s", "", DFP_SECONDS),
        ("miou", "%", "test", DFP_MIOU),
    ],
)
def test_dfp_table_1_holds_the_printed_numbers(metric, unit, split, printed):
    values = {
        row["row"]: (row["value"], row["unit"], row["split"])
        for row in read_paper_values(PAPER)
        if row["table"] == "dfp_table1" and row["metric"] == metric
    }
    expected = {f"depth {5 - place}": (value, unit, split) for place, value in enumerate(printed)}
    assert values == expected


def test_dfp_table_1_is_complete_and_has_no_more():
    rows = [row for row in read_paper_values(PAPER) if row["study"] == "dfp"]
    assert len(rows) == 18
    assert len(printed_in(read_paper_values(PAPER), "dfp_table1")) == 18


def test_every_metric_of_the_papers_is_a_column_that_a_table_can_have():
    assert {row["metric"] for row in read_paper_values(PAPER)} <= METRICS.keys()


def test_quoted_rows_are_of_tables_and_columns_that_are_there_and_no_rows_of_ours():
    params = load_params(scale="paper")
    studies = {
        params.table_name(key, table): (key, table)
        for key, study in params.studies.items()
        for table in study.tables
    }
    rows = GraphBuilder(params).experiments.rows
    quoted = read_quoted_values(QUOTED)
    assert {value["table"] for value in quoted} == {"ipg_table1", "ipg_table6"}
    for value in quoted:
        key, table = studies[value["table"]]
        assert value["metric"] in table.metrics
        assert value["row"] not in {row.label for row in rows[key]}
    # typed from the paper: 21 detectors, one of which lacks its AP75, and 14
    counts = {name: len({v["row"] for v in quoted if v["table"] == name}) for name in studies}
    assert (counts["ipg_table1"], counts["ipg_table6"]) == (21, 14)
    assert sum(value["table"] == "ipg_table1" for value in quoted) == 21 * 6 - 1
    by_cell = {(value["row"], value["metric"]): value["value"] for value in quoted}
    assert by_cell["Cascade RCNN [1], ResNet-101", "ap"] == 42.8
    assert by_cell["CoupleNet [35], ResNet-101, 1000x600", "voc_ap"] == 82.7


def test_values_are_those_of_one_table_without_its_name():
    found = printed_in(read_paper_values(PAPER), "dfp_table1")
    rows = [row for row in read_paper_values(PAPER) if row["table"] == "dfp_table1"]
    assert [(one.row, one.metric, one.value) for one in found] == [
        (row["row"], row["metric"], row["value"]) for row in rows
    ]
    assert printed_in(read_paper_values(PAPER), "nobody_table7") == []


def test_assumptions_belong_to_tables_and_keep_their_order():
    rows = read_assumptions(ASSUMPTIONS)
    parts = SummaryJobs(GraphBuilder(load_params(scale="paper")))
    chosen = parts.assumptions_under("dfp", "dfp_table1")
    assert [one.id for one in chosen] == [row["id"] for row in rows if "dfp_table1" in row["tables"]]
    assert parts.assumptions_under("dfp", "nobody_table7") == []
    assert all(one.text and one.reason for one in chosen)


def test_every_assumption_that_the_experiments_mark_is_listed():
    ids = {row["id"] for row in read_assumptions(ASSUMPTIONS)}
    marked = ("lr", "momentum", "loss", "train-set", "val-for-test", "stride", "fusion")
    ours = ("encoder-branches", "encoder-depth-0", "encoder-layers", "split", "bn", "drop-last", "padding")
    assert {f"dfp-{name}" for name in marked + ours} <= ids


def test_every_assumption_stands_under_each_table_that_it_names():
    tables = plan_everything(load_params(scale="paper")).of("table")
    shown = {(job.name, one["id"]) for job in tables for one in job.params["assumptions"]}
    named = {
        (table, row["id"])
        for row in read_assumptions(ASSUMPTIONS)
        for table in row["tables"]
        if "_table" in table
    }
    assert named <= shown and ("deepfuse_table2", "deepfuse-reading") in shown


def test_every_switch_is_a_key_of_the_configuration():
    schema = json.loads((REPOSITORY / "workflow" / "schemas" / "params.schema.json").read_text())
    for row in read_assumptions(ASSUMPTIONS):
        for switch in row["switch"].replace("{study}", "any").split():
            assert _in_schema(schema, schema, switch.split(".")), switch


def test_defaults_are_what_the_papers_recipe_says():
    params = load_params(scale="paper")
    parts = SummaryJobs(GraphBuilder(params))
    told = parts.assumptions_of_papers(params.studies)
    assert len(told) > 30
    for row in told:
        assert row.value == (row.default or None), row.id


def test_a_switch_of_a_study_is_named_by_the_study_that_shows_it():
    layer = Layer("my.yaml", {"studies": {"ipg_voc": {"model": {"pyramid": {"identity_start": False}}}}})
    parts = SummaryJobs(GraphBuilder(load_params(overlays=[layer], scale="paper")))

    def start(rows):
        return next((row.switch, row.value) for row in rows if row.id == "ipg-start")

    key = "model.pyramid.identity_start"
    assert start(parts.assumptions_under("ipg_voc", "ipg_table6")) == (f"studies.ipg_voc.{key}", "false")
    assert start(parts.assumptions_under("ipg_fusion", "ipg_table2")) == (f"studies.ipg_fusion.{key}", "true")
    switch, value = start(parts.assumptions_of_papers(parts.params.studies))
    assert switch == f"studies.<study>.{key}"
    assert f"studies.ipg_voc.{key}: false" in value and f"studies.ipg_fusion.{key}: true" in value


def test_switches_that_differ_are_named_one_by_one():
    layer = Layer("my.yaml", {"recipes": {"uper_twins": {"batch": 8}}})
    parts = SummaryJobs(GraphBuilder(load_params(overlays=[layer], scale="paper")))
    said = parts.switched("recipes.uper_swin.batch recipes.uper_twins.batch")
    assert said == "recipes.uper_swin.batch: 16; recipes.uper_twins.batch: 8"


def _in_schema(node, schema, path):
    """Whether some alternative of `node` has the key path."""
    if not path:
        return True
    if "$ref" in node:
        return _in_schema(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], schema, path)
    branches = [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]
    if any(_in_schema(branch, schema, path) for branch in branches):
        return True
    if path[0].isdigit() and "items" in node:
        return _in_schema(node["items"], schema, path[1:])
    if path[0] in node.get("properties", {}):
        return _in_schema(node["properties"][path[0]], schema, path[1:])
    for free in (node.get("additionalProperties"), *node.get("patternProperties", {}).values()):
        if free is True or (isinstance(free, dict) and _in_schema(free, schema, path[1:])):
            return True
    return False


HEAD = "study,table,row,metric,value,unit,split,source,kind\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study,table\n", "columns are"),
        (HEAD + "dfp,t,depth 1,miou,about 60,%,test,T1,\n", r":2: value 'about 60' is not a number"),
        (HEAD + "dfp,t,depth 1,miou,nan,%,test,T1,\n", r":2: value 'nan' is not a number"),
        (HEAD + "dfp,t,depth 1,miou,60\n", r":2: expected 9 cells"),
        (HEAD + "dfp,t,depth 1,miou,60,%,test,T1,gain\n", r":2: kind is 'gain'; leave it empty"),
        (HEAD + 2 * "dfp,t,depth 1,miou,60,%,test,T1,\n", r":3: .* stands there twice"),
    ],
)
def test_a_damaged_table_of_numbers_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "values.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_paper_values(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,dfp,t,,because,x,1\n", ":2: text is empty"),
        ("a,dfp,t,text,,x,1\n", ":2: reason is empty"),
        (2 * "a,dfp,t,text,because,x,1\n", ":3: id a stands there twice"),
    ],
)
def test_a_damaged_table_of_assumptions_is_named_with_its_line(tmp_path, line, message):
    path = tmp_path / "assumptions.csv"
    path.write_text("id,study,tables,text,reason,switch,default\n" + line)
    with pytest.raises(InputError, match=message):
        read_assumptions(path)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "none.csv"))):
        read_paper_values(tmp_path / "none.csv")
