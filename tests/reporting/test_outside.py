"""A metric and a kind of figure from outside the package, named in `components:`, reach table and picture."""

import json
from pathlib import Path

import pytest

from pipeline_src.components import use_outside
from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.steps.figure import make_figure
from pipeline_src.steps.table import make_table
from pipeline_src.steps.tabulate import tabulate
from tests.reporting.made_up_study import REPOSITORY, read_csv

MINE = (REPOSITORY / "tests" / "outside" / "worst_class.py").read_text()
KINDS = {
    "metric.worst": "WORST",
    "metric.last_loss": "LAST_LOSS",
    "metric.batch": "BATCH",
    "figure.bars": "Bars",
}


@pytest.fixture
def components(tmp_path, monkeypatch):
    """`components:` of a file beside the checkout, planned from the repository's own parameters."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    monkeypatch.chdir(REPOSITORY)
    return {kind: f"{path}:{name}" for kind, name in KINDS.items()}


def params_with(components, **dfp):
    tree = {"components": components, "select": ["dfp"], "studies": {"dfp": dfp}}
    return load_params(overlays=[Layer("my.yaml", tree)])


def study_parts(*metrics):
    table = {"number": 1, "title": "t", "row": "depth {model.pyramid.depth}", "metrics": list(metrics)}
    figure = {"kind": "bars", "subject": "bars", "title": "f", "score": "worst"}
    return {"tables": [table], "figures": [figure]}


def test_they_are_planned_with_what_they_read_and_with_their_code(components):
    plan = plan_everything(params_with(components, **study_parts("miou", "last_loss", "batch")))
    tidy = plan.jobs["tabulate", "dfp"]
    assert tidy.params["own_metrics"] == ["last_loss", "batch", "worst"]
    assert [path.rpartition("/")[2] for path in tidy.inputs["log"]] == ["log.csv"] * len(
        tidy.inputs["metrics"]
    )
    assert tidy.components == tuple(
        f"{kind}={components[kind]}" for kind in ("metric.last_loss", "metric.batch", "metric.worst")
    )
    table, figure = plan.jobs["table", "dfp_table1"], plan.jobs["figure", "dfp_bars"]
    assert [one.partition("=")[0] for one in table.components] == ["metric.last_loss", "metric.batch"]
    assert [one.partition("=")[0] for one in figure.components] == ["figure.bars", "metric.worst"]
    assert list(figure.inputs) == ["experiments"] and figure.params["options"] == {"score": "worst"}
    assert any(path.endswith("mine.py") for path in table.code["modules"])
    assert not any("mine.py" in path for path in plan.jobs["join", "experiments"].code["modules"])


def test_they_reach_a_row_of_a_table_and_a_picture(components, make_study):
    study = make_study(seeds=2)
    use_outside(f"{kind}={target}" for kind, target in components.items())
    job = study.tabulate_job()
    job.params["own_metrics"] = ["worst", "last_loss", "batch"]
    job.inputs["log"] = study.files("log.csv")
    tabulate(job)
    job = study.table_job(paper=False)
    job.params["metrics"] = ["worst", "last_loss", "batch"]
    make_table(job)
    table = json.loads(Path(job.outputs["sidecar"]).read_text())["table"]
    assert [column["header"] for column in table["columns"]] == ["worst class", "last loss", "batch"]
    worst, loss, batch = (table["rows"][-1]["cells"][name] for name in ("worst", "last_loss", "batch"))
    metrics = [json.loads(Path(path).read_text()) for path in study.files("metrics.json")[-2:]]
    lowest = [min(v for v in one["per_class"].values() if v is not None) for one in metrics]
    assert (worst["mean"], worst["n"]) == (pytest.approx(100 * sum(lowest) / 2), 2)
    ends = [float(Path(path).read_text().split(",")[-1]) for path in study.files("log.csv")[-2:]]
    assert loss["mean"] == pytest.approx(sum(ends) / 2)
    assert batch["mean"] == 3 and batch["architecture"] == "dfp/depth-0"

    job = study.figure_job("tradeoff")
    job.params.update(kind="bars", options={"score": "worst"})
    make_figure(job)
    drawn = {line["row"]: float(line["value"]) for line in read_csv(job.outputs["csv"])}
    assert drawn["depth 0"] == pytest.approx(worst["mean"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric.worst": "mine.py:Nothing"}, r"components\.metric\.worst: .*mine\.py has no Nothing"),
        (
            {"metric.other": "mine.py:WORST"},
            r"components\.metric\.other: its name is 'worst'; a kind is metric",
        ),
        ({"metric.Metric": "mine.py:Metric"}, r"components\.metric\.Metric: .* is a class; name an instance"),
        ({"metric.bars": "mine.py:Bars"}, r"components\.metric\.bars: .*: Bars must inherit from Metric"),
        ({"figure.tradeoff": "mine.py:Bars"}, r"components\.figure\.tradeoff: .* is there already"),
    ],
)
def test_what_breaks_its_contract_is_named_in_planning(components, changes, message):
    folder = components["figure.bars"].rpartition("/")[0]
    own = {kind: f"{folder}/{target}" for kind, target in changes.items()}
    with pytest.raises(InputError, match=message) as refusal:
        expand(params_with(own))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        (
            "    def draw(",
            "    def paint(",
            r"components\.figure\.bars: .*mine\.py: Bars lacks draw, which every FigureKind has",
        ),
        (
            'reads = ("experiments",)',
            'reads = ("weather",)',
            r"figure\.bars reads 'weather', which is not there; use",
        ),
    ],
)
def test_a_kind_of_figure_that_is_not_one_is_named(components, line, other, message):
    path = Path(components["figure.bars"].rpartition(":")[0])
    path.write_text(MINE.replace(line, other))
    with pytest.raises(InputError, match=message):
        plan_everything(params_with(components, **study_parts("miou")))


def test_a_metric_that_is_nowhere_is_named_with_close_ones(components):
    with pytest.raises(
        InputError, match=r"metrics\[0\]: 'worse' is no metric \(did you mean 'worst'\?\); use miou"
    ):
        expand(params_with(components, **study_parts("worse")))
