"""Tables with the paper's numbers: values recomputed by hand, and what each format has to be."""

import json
import re
import statistics
from pathlib import Path

import pytest

from pipeline_src.reporting.render_table import escape_latex, to_latex
from pipeline_src.reporting.table import Block, BlockCell, FinishedTable
from pipeline_src.reporting.table_blocks import interval, number
from pipeline_src.steps.table import make_table
from pipeline_src.steps.tabulate import tabulate
from tests.reporting.made_up_study import MIOU, read_csv

PAPER_MIOU = {5: 69.87, 4: 69.66, 3: 69.72, 2: 69.69, 1: 68.26, 0: 63.79}
PAPER_MEMORY = {5: 4677, 4: 4459, 3: 3994, 2: 3609, 1: 3349, 0: 3275}


def made(study, paper=True, change=None):
    tabulate(study.tabulate_job())
    job = study.table_job(paper)
    if change:
        job.params.update(change)
    make_table(job)
    with open(job.outputs["sidecar"]) as file:
        return json.load(file)["table"], job


def cells(table, column):
    return {int(row["row"].split()[1]): row["cells"][column] for row in table["rows"]}


def test_scores_are_means_over_seeds_with_spread_and_paired_difference(make_study):
    study = make_study(seeds=5, comparable=True)
    table, _ = made(study)
    values = {depth: [] for depth in PAPER_MIOU}
    for depth, run, _ in study.runs():
        metrics = json.loads((study.root / "runs" / run / "metrics.json").read_text())
        values[depth].append(100 * metrics["miou"])
    for depth, cell in cells(table, "miou").items():
        assert cell["mean"] == pytest.approx(statistics.fmean(values[depth]))
        assert cell["sd"] == pytest.approx(statistics.stdev(values[depth]))
        assert cell["n"] == 5
        assert cell["paper"] == PAPER_MIOU[depth]
        assert cell["difference"] == pytest.approx(cell["mean"] - PAPER_MIOU[depth])
        if depth:
            gap = statistics.fmean(a - b for a, b in zip(values[depth], values[0], strict=True))
            assert cell["baseline_difference"]["mean"] == pytest.approx(gap)
            assert cell["paper_baseline_difference"] == pytest.approx(PAPER_MIOU[depth] - PAPER_MIOU[0])
        else:
            assert cell["baseline_difference"] is None


def test_costs_are_compared_as_ratios_to_the_baseline_row(make_study):
    study = make_study(seeds=3, comparable=True)
    table, _ = made(study)
    saved = {}
    for depth in PAPER_MEMORY:
        cost = json.loads((study.root / "cost" / f"dfp/depth-{depth}" / "cost.json").read_text())
        saved[depth] = cost["saved_bytes"]
    for depth, cell in cells(table, "training_memory").items():
        assert cell["mean"] == saved[depth] / 2**20
        assert cell["ratio"] == saved[depth] / saved[0]
        assert cell["paper_ratio"] == PAPER_MEMORY[depth] / PAPER_MEMORY[0]
    assert cells(table, "training_memory")[5]["verdict"] == "direction only"  # 1.8 beside 1.43
    assert cells(table, "training_memory")[0]["verdict"] is None


def test_memory_is_the_gpus_where_every_row_was_measured_on_one(make_study):
    table, _ = made(make_study(gpu=True))
    column = table["columns"][0]
    assert (column["key"], column["timed"]) == ("training_memory", True)
    assert "GPU" in column["meaning"]


def test_memory_never_mixes_two_quantities(make_study):
    study = make_study(gpu=True)
    path = study.root / "cost" / "dfp/depth-3" / "timing.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"peak_memory": None}))
    table, _ = made(study)
    assert "saved for the backward pass" in table["columns"][0]["meaning"]
    ratios = [row["cells"]["training_memory"]["ratio"] for row in table["rows"]]
    assert ratios == pytest.approx([1.8, 1.64, 1.48, 1.32, 1.16, 1.0])


def test_verdicts_at_the_papers_scale_and_on_its_server(make_study):
    table, _ = made(make_study(seeds=5, comparable=True))
    for cell in cells(table, "miou").values():
        assert cell["verdict"] == "agrees"
        assert cell["server_verdict"] == "server only"
        assert cell["paper_split"] == "test"


def test_a_paper_that_states_a_gain_and_no_values(make_study):
    study = make_study(seeds=5, comparable=True)
    kept = [one for one in study.table_job().params["paper"] if one["metric"] != "miou"]
    stated = {"metric": "miou", "unit": "%", "source": "Abstract", "group": "", "kind": "difference"}
    gains = {depth: 1.9 if depth % 2 else MIOU[depth] - MIOU[0] for depth in range(1, 6)}
    for depth, gain in gains.items():
        for split, value in (("val", gain), ("test", 1.7)):
            kept.append({**stated, "row": f"depth {depth}", "split": split, "value": value})
    table, _ = made(study, change={"paper": kept})
    for depth, cell in cells(table, "miou").items():
        assert cell["paper"] is None and cell["difference"] is None
        if depth == 0:
            assert cell["paper_baseline_difference"] is None and cell["verdict"] is None
            assert cell["server_verdict"] is None
            continue
        assert cell["paper_baseline_difference"] == gains[depth]
        assert cell["verdict"] == ("direction only" if depth % 2 else "agrees"), depth
        assert "the difference that the paper states" in cell["reason"]
        assert (cell["server_verdict"], cell["server_difference"]) == ("server only", 1.7)
    block = next(one for one in table["blocks"] if one["title"] == "mIoU (%)")
    assert "paper vs baseline (val)" in block["header"] and "paper (val)" not in block["header"]
    assert block["header"][-2:] == ["verdict", "paper's split (test)"]
    texts = [[cell["text"] for cell in row] for row in block["rows"]]
    assert all(row[-1] == "server only (paper vs baseline +1.7)" for row in texts[:-1])
    assert all(len(row) == len(block["header"]) == len(block["align"]) for row in texts)


def test_demo_is_never_comparable(make_study):
    table, job = made(make_study(seeds=3))
    for row in table["rows"]:
        for column in ("miou", "training_memory", "testing_time"):
            assert row["cells"][column]["verdict"] == "not comparable (demo)"
    text = Path(job.outputs["md"]).read_text()
    assert "never evidence about a paper" in text
    assert "agrees" not in text.split("Where the paper")[0]


def test_a_row_without_data_says_so_and_keeps_its_costs(make_study):
    study = make_study(seeds=3, comparable=True)
    study.rows[0] |= {"status": "no data", "reason": "the data set needs a login"}
    table, job = made(study)
    row = table["rows"][0]
    assert row["cells"]["miou"]["verdict"] == "no data"
    assert row["cells"]["miou"]["mean"] is None
    assert row["cells"]["training_memory"]["verdict"] == "direction only"
    assert "depth 5: no data, the data set needs a login." in Path(job.outputs["md"]).read_text()


def test_a_study_whose_baseline_has_no_data_is_inconclusive(make_study):
    study = make_study(seeds=3, comparable=True)
    study.rows[-1] |= {"status": "not run"}
    table, _ = made(study)
    assert cells(table, "miou")[3]["verdict"] == "inconclusive (n < 3)"
    assert cells(table, "miou")[0]["verdict"] == "not run"


def test_one_seed_prints_dashes(make_study):
    table, _ = made(make_study(seeds=1))
    block = next(block for block in table["blocks"] if block["title"] == "mIoU (%)")
    place = {name: index for index, name in enumerate(block["header"])}
    for row in block["rows"]:
        assert row[place["sd"]]["text"] == "–"
        assert row[place["95 % interval"]]["text"] == "–"
        assert row[place["n"]]["text"] == "1"


def test_an_own_study_has_no_columns_of_a_paper(make_study):
    table, job = made(make_study(seeds=3), paper=False)
    headers = " ".join(name for block in table["blocks"] for name in block["header"])
    assert "paper" not in headers
    assert "verdict" not in headers
    assert "vs baseline" in headers
    text = Path(job.outputs["md"]).read_text()
    assert text.startswith("# Cost and accuracy")
    assert "we assume" not in text
    assert "never evidence" not in text
    assert "aper:" not in text


def test_a_study_without_a_baseline_compares_nothing(make_study):
    study = make_study(seeds=2)
    for row in study.rows:
        row["baseline"] = None
    table, _ = made(study, paper=False)
    assert "vs baseline" not in " ".join(name for block in table["blocks"] for name in block["header"])


def test_every_measured_value_names_what_it_was_made_from(make_study):
    table, _ = made(make_study(seeds=2))
    overview = table["blocks"][0]
    for row in overview["rows"]:
        depth = row[0]["text"].replace(" ", "-")
        assert row[1]["architecture"] == f"dfp/{depth}"
        assert row[3]["runs"] == [f"dfp/{depth}/seed-0", f"dfp/{depth}/seed-1"]


def test_other_times_leave_the_untimed_content_alone(make_study):
    study = make_study()
    made(study)
    path = study.root / "tables" / "dfp_table1.json"
    before = json.loads(path.read_text())
    timing = study.root / "cost" / "dfp/depth-3" / "timing.json"
    timing.write_text(json.dumps(json.loads(timing.read_text()) | {"latency": 9.0}))
    made(study)
    after = json.loads(path.read_text())
    assert before["untimed_content"] == after["untimed_content"]
    assert before["content"] != after["content"]


def test_csv_has_one_line_per_row_and_full_precision(make_study):
    table, job = made(make_study(seeds=3, comparable=True))
    lines = read_csv(job.outputs["csv"])
    assert [line["row"] for line in lines] == [row["row"] for row in table["rows"]]
    for line, row in zip(lines, table["rows"], strict=True):
        cell = row["cells"]["miou"]
        assert float(line["miou_mean"]) == cell["mean"]
        assert [float(line["miou_low"]), float(line["miou_high"])] == cell["interval"]
        assert line["miou_verdict"] == cell["verdict"]
        assert float(line["training_memory_ratio"]) == row["cells"]["training_memory"]["ratio"]
    assert lines[-1]["miou_vs_baseline"] == ""


def test_markdown_columns_line_up_in_a_terminal(make_study):
    _, job = made(make_study(seeds=3, comparable=True))
    lines = Path(job.outputs["md"]).read_text().splitlines()
    tables = [[]]
    for line in lines:
        if line.startswith("|"):
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    tables = [table for table in tables if table]
    assert len(tables) == 4
    for table in tables:
        assert len({len(line) for line in table}) == 1
        bars = [[m.start() for m in re.finditer(r"\|", line)] for line in table]
        assert all(positions == bars[0] for positions in bars)


def test_assumptions_are_numbered_under_the_table(make_study):
    study = make_study()
    _, job = made(study)
    text = Path(job.outputs["md"]).read_text()
    entries = study.table_params()["assumptions"]
    for number_, entry in enumerate(entries, start=1):
        assert f"{number_}. {entry['text']}." in text
    assert "`recipes.dfp.optimizer.momentum`, default 0.9" in text
    assert Path(job.outputs["tex"]).read_text().count(r"\item") == len(entries)


def test_an_assumption_that_was_switched_says_so(make_study):
    study = make_study()
    entries = study.table_params()["assumptions"]
    values = {"dfp-momentum": "0.5", "dfp-stride": "32"}
    entries = [{**entry, "value": values.get(entry["id"])} for entry in entries]
    _, job = made(study, change={"assumptions": entries})
    text = Path(job.outputs["md"]).read_text()
    assert "default 0.9, here 0.5)" in text
    assert "default 32)" in text


def test_the_caption_says_what_was_measured_and_where(make_study):
    table, _ = made(make_study(seeds=3, comparable=True))
    notes = " ".join(table["notes"])
    assert "Paper: PASCAL VOC2012 test; here: voc2012 val" in notes
    assert "n = 3" in notes
    assert "measured on cpu (x86_64), 2 threads, torch 2.15.0" in notes
    assert "a batch of 3 of 512x512" in notes
    assert "one image of 512x512" in notes
    assert "Scale paper: the paper's recipe." in notes


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        ([({"mode": "whole", "resize": None}, 6)], "val, images at their original size, n = 3"),
        (
            [({"mode": "whole", "resize": [2048, 512]}, 6)],
            "val, images fitted into 2048x512 and scored at their original size, n = 3",
        ),
        (
            [
                ({"mode": "whole"}, 4),
                ({"mode": "slide", "window": [512, 640], "stride": [341, 427], "resize": [2048, 512]}, 2),
            ],
            "val, images at their original size (4 rows) or images fitted into 2048x512 and scored at their "
            "original size, in windows of 640x512 every 427x341 pixels (2 rows), n = 3",
        ),
        ([], "val, n = 3"),
    ],
)
def test_the_caption_says_how_the_rows_were_tested(make_study, tests, text):
    study = make_study(seeds=3)
    data = study.table_params()["data"] | {"testing": [way | {"rows": rows} for way, rows in tests]}
    (note,) = [note for note in made(study, change={"data": data})[0]["notes"] if "voc2012 val" in note]
    assert text in note.replace(" (generated scenes)", "")


def test_the_caption_of_a_detector_says_its_test_sizes(make_study):
    study = make_study(seeds=3)
    ways = [
        {"mode": "whole", "scales": [[1333, 800]]},
        {"mode": "whole", "scales": [[800, 500], [1000, 600]]},
    ]
    data = {"task": "detection", "testing": [way | {"rows": 3} for way in ways]}
    (note,) = [
        note
        for note in made(study, change={"data": study.table_params()["data"] | data})[0]["notes"]
        if "voc2012 val" in note
    ]
    assert "images fitted into 1333x800 (3 rows) or " in note
    assert "images fitted into 800x500 and 1000x600, detections merged (3 rows), boxes in pixels" in note


SPECIAL = "a_b & 50 % of {x} <y> #1 $2 ^ ~ \\ | – − ± …"


def test_latex_escapes_everything_that_is_a_command():
    escaped = escape_latex(SPECIAL)
    for command in "_&%#":
        assert not re.search(rf"(?<!\\){re.escape(command)}", escaped)
    assert not set("–−±…") & set(escaped)
    without_math = re.sub(r"\$[^$]*\$", "", escaped.replace(r"\$", ""))
    assert "<" not in without_math and "|" not in without_math


def test_latex_is_balanced_and_has_as_many_cells_as_columns(make_study):
    _, job = made(make_study(seeds=3, comparable=True))
    text = Path(job.outputs["tex"]).read_text()
    opened, closed = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert sorted(opened) == sorted(closed)
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.rstrip().endswith(r"\\")]
        assert len(rows) == 7
        assert all(len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1 for row in rows)
    assert re.search(r"\\toprule.*\\midrule.*\\bottomrule", text, re.DOTALL)
    assert text.isascii()


def test_latex_survives_names_with_special_characters():
    block = Block(SPECIAL, [SPECIAL, "b"], "lr", [[BlockCell(SPECIAL)] * 2])
    text = to_latex(FinishedTable(0.95, [], [], [], "x_table1", "x", SPECIAL, [SPECIAL], [block], []))
    assert r"\label{tab:x-table1}" in text
    assert text.count(r"\begin{table}") == 1
    assert text.isascii()


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (None, 2, False, "–"),
        (63.789, 2, False, "63.79"),
        (-1.25, 1, False, "−1.2"),
        (1.0, 2, True, "+1.00"),
        (-1.0, 2, True, "−1.00"),
        (0.0, 2, True, "±0.00"),
        (-0.001, 2, True, "±0.00"),
        (-0.001, 2, False, "0.00"),
    ],
)
def test_numbers_are_printed_with_fixed_decimals(value, digits, sign, text):
    assert number(value, digits, sign) == text


def test_intervals_are_printed_low_to_high():
    assert interval([-1.0, 2.0], 1, True) == "−1.0 … +2.0"
    assert interval(None, 1) == "–"


QUOTED = [
    {"group": "others", "row": "A, ResNet-50", "metric": "miou", "value": 61.5, "unit": "%", "split": "test"},
    {"group": "others", "row": "B & C", "metric": "miou", "value": 62.0, "unit": "%", "split": "test"},
    {"group": "more", "row": "D", "metric": "parameters", "value": 3.0, "unit": "M", "split": "test"},
]


def test_rows_of_others_are_quoted_beside_the_papers_own_and_never_measured(make_study):
    table, job = made(make_study(), change={"quoted": QUOTED})
    assert len(table["rows"]) == 6 and table["quoted"] == [
        entry | {"source": "", "kind": ""} for entry in QUOTED
    ]
    block = table["blocks"][-1]
    assert block["title"] == "As the paper prints it (test); rows of others are quoted, not run"
    lines = [[cell["text"] for cell in line] for line in block["rows"]]
    header = block["header"]
    miou = next(place for place, text in enumerate(header) if text.startswith("mIoU"))
    assert lines[0][:2] == ["others", "A, ResNet-50"] and lines[0][miou] == "61.50"
    assert lines[2][:2] == ["more", "D"] and lines[2][miou] == "–"
    own = {line[1]: line[miou] for line in lines if line[0] == "the paper's own"}
    assert own == {f"depth {depth}": f"{value:.2f}" for depth, value in PAPER_MIOU.items()}
    assert not any(cell["runs"] for line in block["rows"] for cell in line)

    records = read_csv(job.outputs["csv"])
    quoted = [record for record in records if record["status"] == "quoted"]
    assert [record["row"] for record in quoted] == ["A, ResNet-50", "B & C", "D"]
    assert quoted[0]["miou_paper"] == "61.5" and quoted[0]["miou_mean"] == ""
    assert r"B \& C" in Path(job.outputs["tex"]).read_text()


def test_without_quoted_rows_there_is_no_such_block(make_study):
    table, _ = made(make_study())
    assert table["quoted"] == []
    assert not any("quoted" in block["title"] for block in table["blocks"])


def test_notes_say_where_rows_started_and_what_never_learned(make_study):
    study = make_study()
    rows = [dict(row) for row in study.table_job().params["rows"]]
    rows[0]["init_from"] = "other/base/seed-0"
    change = {"rows": rows, "weights": ["none"], "fixed_at_random": "batch normalisation"}
    notes = made(study, change=change)[0]["notes"]
    assert f"{rows[0]['name']}: started from the weights of other/base/seed-0." in notes
    (start,) = [note for note in notes if note.startswith("Backbone weights: none")]
    assert "the backbones of the other rows started from a random initialisation" in start
    assert start.endswith("; of it batch normalisation stayed as it was, and never learned.")
    # no row is left that did: those that this scale leaves out started nowhere
    rows[1] |= {"runs": [], "status": "not at this scale", "reason": "left out"}
    for row in rows[2:]:
        row["init_from"] = "other/base/seed-0"
    notes = made(study, change=change)[0]["notes"]
    assert not any(note.startswith("Backbone weights: none") for note in notes)
