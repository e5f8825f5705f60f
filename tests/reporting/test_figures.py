"""Figures: the data that they show, stable bytes, labels that cover nothing."""

import csv
import json
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from pipeline_src.errors import InputError
from pipeline_src.reporting.baseline_answers import COLLAPSED, NO_EVIDENCE, Answer
from pipeline_src.reporting.figures import pareto
from pipeline_src.reporting.figures.curves import smoothed
from pipeline_src.reporting.figures.drawing import COLOURS, Drawing, save_drawing, series_style, styled
from pipeline_src.reporting.figures.point_labels import label_points
from pipeline_src.reporting.figures.predictions import side_by_side
from pipeline_src.reporting.metric_table import METRICS
from pipeline_src.reporting.table import CostCell
from pipeline_src.steps.figure import make_figure
from pipeline_src.steps.tabulate import tabulate
from tests.reporting.made_up_study import drawn, read_csv

KINDS = ("tradeoff", "pareto", "curves", "predictions")


@pytest.fixture
def make_study(make_study):
    """As elsewhere, with pictures of predictions."""
    return lambda **options: make_study(**({"pictures": True} | options))


def made(study, kind, **options):
    tabulate(study.tabulate_job())
    job = study.figure_job(kind, **options)
    make_figure(job)
    return job


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_inputs_make_the_same_bytes(make_study, kind):
    study = make_study(seeds=2)
    job = made(study, kind)
    first = {name: Path(path).read_bytes() for name, path in job.outputs.items() if name != "sidecar"}
    for path in job.outputs.values():
        Path(path).unlink()
    made(study, kind)
    for name, data in first.items():
        assert Path(job.outputs[name]).read_bytes() == data, name


@pytest.mark.parametrize("kind", KINDS)
def test_no_date_and_no_machine_enters_the_pictures(make_study, kind):
    job = made(make_study(), kind)
    svg = Path(job.outputs["svg"]).read_text()
    assert "<dc:date>" not in svg
    with Image.open(job.outputs["png"]) as picture:
        assert not {"Software", "Creation Time"} & picture.info.keys()
        assert picture.width == pytest.approx(7 * 160, abs=2)


def test_pictures_ignore_the_users_own_settings(make_study):
    study = make_study()
    job = made(study, "curves")
    first = Path(job.outputs["svg"]).read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": "other"}):
        made(study, "curves")
    assert Path(job.outputs["svg"]).read_bytes() == first


@pytest.mark.parametrize("kind", KINDS)
def test_the_sidecar_carries_title_scale_and_files(make_study, kind):
    job = made(make_study(), kind)
    sidecar = json.loads(Path(job.outputs["sidecar"]).read_text())
    assert sidecar["figure"]["title"] == job.params["title"]
    assert "never evidence" in sidecar["figure"]["notes"][0]
    assert set(sidecar["outputs"]) == {"svg", "png", "csv"}


def test_tradeoff_shows_ratios_of_ours_and_of_the_paper(make_study):
    records = read_csv(made(make_study(seeds=3, comparable=True), "tradeoff").outputs["csv"])
    assert len(records) == 2 * 2 * 6
    by_key = {(r["source"], r["cost"], r["row"]): r for r in records}
    paper = by_key["paper", "training_memory", "depth 5"]
    assert float(paper["cost_ratio"]) == pytest.approx(4677 / 3275)
    assert (float(paper["score"]), paper["n"]) == (69.87, "")
    ours = by_key["ours", "testing_time", "depth 5"]
    assert float(ours["cost_ratio"]) == pytest.approx(0.75 / 0.4)
    assert (float(ours["score"]), ours["n"]) == (pytest.approx(70.0), "3")


def test_tradeoff_of_an_own_study_has_no_panel_of_a_paper(make_study):
    study = make_study()
    tabulate(study.tabulate_job())
    job = study.figure_job("tradeoff")
    drawing = drawn(inputs=job.inputs, **{**job.params, "paper": []})
    assert {record["source"] for record in drawing.records.to_dict("records")} == {"ours"}
    assert len(drawing.figure.axes) == 2


@pytest.mark.parametrize(("better", "sign"), [("higher", -1), ("lower", 1)])
def test_pareto_marks_the_rows_that_nothing_beats(make_study, monkeypatch, better, sign):
    monkeypatch.setitem(METRICS, "miou", replace(METRICS["miou"], better=better))
    study = make_study(seeds=3)
    records = read_csv(made(study, "pareto").outputs["csv"])
    assert {record["cost"] for record in records} == {
        "parameters",
        "flops",
        "training_memory",
        "testing_time",
    }
    for cost in {record["cost"] for record in records}:
        points = [
            (float(r["value"]), sign * float(r["score"]), r["row"]) for r in records if r["cost"] == cost
        ]
        assert len(points) == 6
        # cheapest first: a row is on the front if its score is better than that of all that cost less
        front, best = set(), np.inf
        for _, score, row in sorted(points):
            if score < best:
                front.add(row)
                best = score
        assert {r["row"] for r in records if r["cost"] == cost and r["on_front"] == "True"} == front
    interval = [(float(r["low"]), float(r["score"]), float(r["high"])) for r in records]
    assert all(high - score == pytest.approx(score - low) and high > score for low, score, high in interval)


@pytest.mark.parametrize(
    ("fallen", "front"),
    [("", "cheap middle best"), ("best", "cheap middle"), ("cheap", "middle best"), ("middle", "cheap best")],
)
def test_a_row_that_collapsed_is_on_no_front_and_keeps_no_other_from_it(fallen, front):
    places = {"cheap": (1.0, 50.0), "middle": (2.0, 60.0), "best": (3.0, 70.0)}
    if fallen:  # it would beat all others if it counted
        places[fallen] = (0.5, 90.0)

    def line(name, cost, score):
        verdict = COLLAPSED if name == fallen else NO_EVIDENCE
        cell = SimpleNamespace(mean=score, interval=None, n=3, answer=Answer(verdict))
        value = CostCell(cost, None, None, None, None, None, None, "", name)
        return SimpleNamespace(row=name, score=lambda column: cell, cells={"flops": value})

    table = SimpleNamespace(rows=[line(name, *place) for name, place in places.items()])
    score, cost = SimpleNamespace(better="higher"), SimpleNamespace(key="flops", unit="GFLOPs")
    points = pareto._points(table, score, cost)
    assert " ".join(point["row"] for point in points if point["on_front"]) == front
    assert [point["row"] for point in points if point["collapsed"]] == fallen.split()


def test_pareto_draws_what_its_table_says(make_study):
    study = make_study(seeds=3)
    tabulate(study.tabulate_job())
    job = study.figure_job("pareto")
    drawing = drawn(inputs=job.inputs, **job.params)
    axes = drawing.figure.axes[1]
    shown = {(float(x), float(y)) for bar in axes.containers for x, y in [bar[0].get_xydata()[0]]}
    records = [record for record in drawing.records.to_dict("records") if record["cost"] == "flops"]
    assert shown == {(record["value"], record["score"]) for record in records}
    low, high = axes.get_ylim()
    assert all(low < record["low"] and record["high"] < high for record in records)
    assert axes.get_xlabel() == "FLOPs (G)" and axes.get_ylabel() == "mIoU (%)"


def test_curves_show_every_run_at_every_validation(make_study):
    study = make_study(seeds=2)
    records = read_csv(made(study, "curves").outputs["csv"])
    validation = [record for record in records if record["panel"] == "validation"]
    assert len(validation) == 6 * 2 * 4
    for record in validation:
        path = study.root / "runs" / record["run"] / "curve.csv"
        with open(path, newline="") as file:
            lines = [line for line in csv.DictReader(file) if line["metric"] == "miou"]
        expected = next(float(line["value"]) for line in lines if line["step"] == record["step"])
        assert float(record["value"]) == 100 * expected


def test_runs_without_validation_still_have_their_loss(make_study):
    study = make_study()
    for path in study.files("curve.csv"):
        Path(path).write_text("step,epoch,metric,value\n")
    records = read_csv(made(study, "curves").outputs["csv"])
    assert {record["panel"] for record in records} == {"training loss"}


@pytest.mark.parametrize("length", [1, 7, 59, 60, 61, 200, 1001])
def test_smoothing_keeps_the_mean_and_the_last_step(length):
    rng = np.random.default_rng(length)
    points = pd.DataFrame({"step": range(1, length + 1), "value": rng.random(length)})
    result = smoothed(points, 60)
    ends = [0, *result["step"]]
    sizes = [after - before for before, after in pairwise(ends)]
    assert len(result) <= 60
    assert ends[-1] == length
    assert len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]
    mean = sum(size * value for size, value in zip(sizes, result["value"], strict=True)) / length
    assert mean == pytest.approx(sum(points["value"]) / length)


def test_a_damaged_log_is_named(make_study):
    study = make_study()
    Path(study.files("log.csv")[2]).write_text("step,epoch,lr,loss\n1,0,0.1,high\n")
    with pytest.raises(InputError, match=r"depth-3/seed-0/log\.csv: not a table of steps"):
        made(study, "curves")


def test_predictions_show_the_asked_rows_in_the_asked_order(make_study):
    study = make_study(seeds=2)
    records = read_csv(made(study, "predictions", rows=["depth 0", "depth 2"]).outputs["csv"])
    first = [record for record in records if record["image"] == records[0]["image"]]
    assert [record["column"] for record in first] == ["image", "ground truth", "depth 0", "depth 2"]
    assert [record["run"] for record in first[2:]] == ["dfp/depth-0/seed-0", "dfp/depth-2/seed-0"]
    assert all(Path(record["file"]).is_file() for record in records)
    assert len(records) == 2 * 4


@pytest.mark.parametrize("columns", [2, 4, 6, 8])
def test_long_titles_of_pictures_do_not_run_into_each_other(columns):
    picture = np.zeros((30, 40, 3), np.uint8)
    titles = [f"depth {number}, an encoder for each branch" for number in range(columns)]
    overlays = {"classes": ["sky"], "ignore_index": 255}
    with styled():
        figure = side_by_side([[picture] * columns], titles, overlays, {0})
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in figure.texts]
        tops = [axes.get_window_extent(renderer).y1 for axes in figure.axes]
        size = figure.bbox
    assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))
    assert all(box.y0 >= top for box, top in zip(boxes, tops, strict=True))
    assert all(box.x0 >= 0 and box.x1 <= size.x1 and box.y1 <= size.y1 for box in boxes)


def test_predictions_of_different_images_are_refused(make_study):
    study = make_study()
    index = study.root / "runs" / "dfp/depth-2/seed-0" / "overlays" / "index.json"
    value = json.loads(index.read_text())
    value["images"].reverse()
    index.write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"dfp/depth-2/seed-0: its evaluation shows other images"):
        made(study, "predictions", rows=["depth 0", "depth 2"])


def test_a_lost_picture_is_named(make_study):
    study = make_study()
    lost = next((study.root / "runs" / "dfp/depth-0/seed-0" / "overlays").glob("*_truth.png"))
    lost.unlink()
    with pytest.raises(InputError, match=f"{lost.name}: no such file; evaluate dfp/depth-0/seed-0 again"):
        made(study, "predictions", rows=["depth 0"])


def test_twenty_eight_series_look_different():
    styles = {tuple(series_style(number).values()) for number in range(28)}
    assert len(styles) == 28


def test_the_style_file_draws_in_the_listed_colours():
    with styled():
        cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    assert [f"#{colour}".upper().replace("##", "#") for colour in cycle] == COLOURS


def test_a_label_avoids_the_error_bar_of_its_own_point():
    with styled():
        figure = Figure(figsize=(3.5, 2.5))
        axes = figure.subplots()
        axes.errorbar([1, 2, 3], [1, 2, 3], yerr=[0, 1.5, 0])
        axes.margins(0.2)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        label_points(figure, axes, [(1, 1), (2, 2), (3, 3)], ["a", "b", "c"], "black", [0, 1.5, 0])
        renderer = FigureCanvasAgg(figure).get_renderer()
        box = axes.texts[1].get_window_extent(renderer)
        (x, bottom), (_, top) = axes.transData.transform([(2, 0.5), (2, 3.5)])
    assert not (box.x0 <= x <= box.x1 and box.y0 <= top and box.y1 >= bottom)


@pytest.mark.parametrize("seed", range(5))
def test_labels_cover_neither_points_nor_each_other(seed):
    rng = np.random.default_rng(seed)
    x = np.sort(1 + rng.random(6))
    points = list(zip(x.tolist(), (60 + 10 * rng.random(6)).tolist(), strict=True))
    with styled():
        figure = Figure(figsize=(3.5, 2.5))
        axes = figure.subplots()
        axes.plot([p[0] for p in points], [p[1] for p in points], "o-")
        axes.margins(0.15)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        label_points(figure, axes, points, list("543210"), "black")
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == 6
    for first, second in combinations(boxes, 2):
        assert not first.overlaps(second)
    for point in points:
        place = axes.transData.transform(point)
        assert not any(box.contains(*place) for box in boxes)


def test_names_with_dollar_signs_are_drawn_as_they_are(tmp_path):
    def letters(name):
        with styled():
            figure = Figure()
            axes = figure.add_subplot()
            axes.set_title(name)
            axes.set_xticks([0, 1], ["plain", name])
            axes.set_yscale("log")
            axes.legend([axes.plot([0, 1], [1, 100])[0]], [name])
        paths = [str(tmp_path / f"a.{end}") for end in ("svg", "png", "csv")]
        save_drawing(Drawing(figure, pd.DataFrame()), *paths)
        return (tmp_path / "a.svg").read_text()

    # a formula without a meaning would be an error, one with a meaning is not drawn letter by letter
    assert letters("costs $5 or $6_x$ % \\frac").count("<!-- costs $5 or $6_x$ % \\frac -->") == 3
