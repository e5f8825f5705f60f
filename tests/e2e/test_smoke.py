"""The whole graph at scale smoke: everything is there, a second run does nothing, DVC agrees.

The tests share one clone and build on one another, in this order.
"""

import csv
import hashlib
import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import make_clone
from tests.ordinary_user import without_root

RESULTS = "results/smoke"
SCALES_VERDICT = "not comparable (smoke)"


def records(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def jobs_run(output: str) -> dict[str, int]:
    """Jobs by rule, as Snakemake's table says them or the project's own line."""
    rows = re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)
    for line in re.findall(r"^\d+ jobs: (.+)$", output, flags=re.MULTILINE):
        rows += [(rule, count) for count, rule in re.findall(r"(\d+) (\w+)", line)]
    return {rule: int(count) for rule, count in rows if rule not in ("total", "all")}


def test_the_run_ends_by_saying_where_the_report_is(smoke):
    assert "The report is results/smoke/report.html" in smoke.path("first.log").read_text()
    assert smoke.path("results/smoke/report.html").is_file()


def test_every_run_of_every_row_has_its_records(smoke):
    found = records(smoke.path(f"{RESULTS}/experiments.csv"))
    assert list(found[0]) == ["study", "table", "row", "run", "seed", "metric", "value", "unit"]
    scored = {
        (line["row"], line["seed"]) for line in found if line["metric"] == "miou" and line["study"] == "dfp"
    }
    assert scored == {(f"depth {depth}", "0") for depth in range(6)} | {("depth 2", "1")}
    scores = [float(line["value"]) for line in found if line["metric"] == "miou"]
    assert all(0 <= score <= 100 for score in scores)


def test_costs_are_as_the_paper_describes_them(smoke):
    found = records(smoke.path(f"{RESULTS}/experiments.csv"))

    def by_depth(metric: str) -> list[float]:
        lines = [line for line in found if line["metric"] == metric and line["study"] == "dfp"]
        values = {line["row"]: float(line["value"]) for line in lines}
        return [values[f"depth {depth}"] for depth in range(6)]

    parameters, flops, saved = by_depth("parameters"), by_depth("flops"), by_depth("saved_bytes")
    assert parameters[0] < parameters[1]
    assert len(set(parameters[1:])) == 1
    assert flops == sorted(flops) and saved == sorted(saved)


def test_a_scale_of_scenes_is_never_compared_with_a_paper(smoke):
    table = json.loads(smoke.path(f"{RESULTS}/tables/dfp_table1.json").read_text())["table"]
    verdicts = {cell["verdict"] for row in table["rows"] for cell in row["cells"].values()}
    assert verdicts <= {SCALES_VERDICT, None, ""}
    assert SCALES_VERDICT in verdicts
    markdown = smoke.path(f"{RESULTS}/tables/dfp_table1.md").read_text()
    assert "never evidence about a paper" in markdown


FIGURES = [
    "dfp_tradeoff", "dfp_curves", "dfp_predictions", "scale_eq_figure3", "scale_eq_branch_scales_encoders",
    "scale_eq_gradient_scales_encoders", "scale_eq_branch_scales_decoders",
    "scale_eq_gradient_scales_decoders", "ipg_curves_positions", "ipg_ap_by_size", "ipg_detections",
    "ipg_detections_voc", "deepfuse_gap", "deepfuse_masks", "cross_pareto", "cross_curves",
    "cross_predictions", "cross_pareto_boxes", "cross_ap_by_size",
]  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("suffix", ["svg", "png", "csv"])
def test_every_figure_stands_beside_its_data(smoke, name, suffix):
    assert smoke.path(f"{RESULTS}/figures/{name}.{suffix}").stat().st_size > 100


@pytest.mark.parametrize(("number", "pairs", "made"), [(1, 18, 4), (2, 8, 5)])
def test_scale_equalization_has_every_cell_in_pairs(smoke, number, pairs, made):
    table = json.loads(smoke.path(f"{RESULTS}/tables/scale_eq_table{number}.json").read_text())["table"]
    block = table["blocks"][0]
    assert len(block["rows"]) == pairs
    assert len(table["rows"]) == 2 * pairs
    cells = {row["row"]: row["cells"]["miou"] for row in table["rows"]}
    assert all(cell["paper"] is not None for cell in cells.values())
    scored = {label for label, cell in cells.items() if cell["mean"] is not None}
    assert len(scored) == 2 * made
    assert {cells[label]["verdict"] for label in scored} == {SCALES_VERDICT}
    markdown = smoke.path(f"{RESULTS}/tables/scale_eq_table{number}.md").read_text()
    assert "miniature networks" in markdown and "never evidence about a paper" in markdown
    costs = {row["row"]: row["cells"]["parameters"]["mean"] for row in table["rows"] if row["row"] in scored}
    for label, value in costs.items():
        if label.endswith(", with"):
            assert value == costs[label.replace(", with", ", without")] > 0


def test_a_pair_starts_from_the_same_weights_and_sees_the_same_data(smoke):
    runs = f"{RESULTS}/runs/scale_eq_decoders/decoder-PSPHead_data-ADE20K_equalizer"
    plain, equalised = (
        json.loads(smoke.path(f"{runs}-{which}/seed-0/train.json").read_text())
        for which in ("without", "with")
    )
    assert plain["seeds"] == equalised["seeds"]
    assert plain["inputs"]["manifest"]["content"] == equalised["inputs"]["manifest"]["content"]
    statistics = json.loads(smoke.path(f"{runs}-with/seed-0/statistics.json").read_text())
    assert equalised["weights"]["equalizer"]["content"] == statistics["content"]
    assert statistics["images"] == 8


IPG_ROWS = {1: 1, 2: 3, 3: 4, 4: 6, 5: 2, 6: 5}


@pytest.mark.parametrize("number", IPG_ROWS)
def test_ipg_net_has_every_row_beside_the_papers(smoke, number):
    table = json.loads(smoke.path(f"{RESULTS}/tables/ipg_table{number}.json").read_text())["table"]
    assert len(table["rows"]) == IPG_ROWS[number]
    scores = [column["key"] for column in table["columns"] if column["kind"] == "score"]
    for row in table["rows"]:
        assert row["cells"][scores[0]]["mean"] is not None, row["row"]
        assert any(row["cells"][key]["paper"] is not None for key in scores), row["row"]
        assert row["cells"]["parameters"]["mean"] > 0 and row["cells"]["flops"]["mean"] > 0
    verdicts = {cell["verdict"] for row in table["rows"] for cell in row["cells"].values()}
    assert verdicts <= {SCALES_VERDICT, "undefined", None}
    quoted = {entry["row"] for entry in table["quoted"]}
    assert len(quoted) == {1: 21, 6: 14}.get(number, 0)


def test_table_6_starts_from_coco_and_says_what_did_not_match(smoke):
    run = f"{RESULTS}/runs/ipg_voc/network-IPG-RCNN-IPG-Net-101/seed-0/train.json"
    started = json.loads(smoke.path(run).read_text())["weights"]["init_from"]
    assert started["path"] == f"{RESULTS}/runs/ipg_pretrain/base/seed-0/model.safetensors"
    assert started["loaded"] > 100 and started["only_in_model"] == started["only_in_file"] == []
    # both sets of scenes have four classes and the same shapes; VOC's 20 would not match COCO's 80
    assert started["other_shape"] == []


def test_the_report_is_one_self_contained_page_with_a_link_for_every_run(smoke):
    page = smoke.path(f"{RESULTS}/report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    links = set(re.findall(r"""href=["']([^"'#]+\.json)["']""", page))
    assert {f"runs/dfp/depth-{depth}/seed-0/evaluate.json" for depth in range(6)} <= links
    assert all(smoke.path(f"{RESULTS}/{link}").is_file() for link in links)


def test_sidecars_say_where_a_number_comes_from(smoke):
    sidecar = json.loads(smoke.path(f"{RESULTS}/runs/dfp/depth-2/seed-1/train.json").read_text())
    assert sidecar["job"]["params"]["seed"] == 1
    assert re.fullmatch("[0-9a-f]{40}", sidecar["git"]["commit"])
    assert sidecar["git"]["dirty"] is False
    assert "pipeline_src/models/fusion/dfp.py" in sidecar["job"]["code"]["modules"]
    assert {"torch", "timm"} <= set(sidecar["environment"]["packages"])
    assert sidecar["training"]["resumed_from"] == []


def test_a_second_run_does_nothing(smoke):
    output = smoke.run("snakemake", "--cores", "all")
    assert "Nothing to be done" in output
    assert "0 to run" in output
    assert "The report is results/smoke/report.html" in output


def test_verify_makes_tables_again_and_finds_what_was_forged_with_its_record(smoke):
    verify = ("python", "-m", "pipeline_src", "verify", "--config", "select=[dfp]")
    output = smoke.run(*verify)
    assert "No fault was found." in output
    assert re.search("7 metrics, 1 tabulate, 1 table, 3 figure", output)
    table = smoke.path(f"{RESULTS}/tables/dfp_table1.md")
    sidecar = table.with_suffix(".json")
    before = table.read_text(), sidecar.read_text()
    table.write_text(before[0].replace("depth 5", "depth 6"))
    record = json.loads(before[1])
    record["outputs"]["md"]["sha256"] = hashlib.sha256(table.read_bytes()).hexdigest()
    sidecar.write_text(json.dumps(record))
    output = smoke.run(*verify, status=1)
    faults = [line for line in output.splitlines() if line.startswith("FAULT")]
    assert faults == [f"FAULT {RESULTS}/tables/dfp_table1.md: made again it is another file"]
    table.write_text(before[0])
    sidecar.write_text(before[1])


def test_a_crate_packs_all_records_and_says_what_each_job_did(smoke):
    output = smoke.run("python", "-m", "pipeline_src", "export-crate")
    trained = list(smoke.path(RESULTS).rglob("train.json"))
    assert re.search(rf"{RESULTS}/crate.zip: \d+ jobs, \d+ files", output)
    with zipfile.ZipFile(smoke.path(f"{RESULTS}/crate.zip")) as archive:
        names = set(archive.namelist())
        graph = {one["@id"]: one for one in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]}
        packed = {name for name, one in graph.items() if "File" in one["@type"]}
        assert packed | {"ro-crate-metadata.json"} == {name for name in names if not name.endswith("/")}
        for name in packed:
            assert (
                archive.getinfo(name).file_size == int(graph[name].get("contentSize", 0))
                or name == "Snakefile"
            )
    assert {"Snakefile", "params.yaml", "workflow/rules/data.smk", f"{RESULTS}/report.html"} <= packed
    assert not [name for name in packed if name.endswith(".safetensors")]
    assert len([name for name in graph if name.startswith("#train/")]) == len(trained) == 66
    assert {"@id": f"#{RESULTS}/runs/dfp/depth-2/seed-1/model.safetensors"} in graph[
        "#train/dfp/depth-2/seed-1"
    ]["result"]


def test_snakemakes_own_report_is_made(smoke):
    smoke.run("snakemake", "--report", "report.zip")
    assert smoke.path("report.zip").stat().st_size > 10_000


def test_dvc_repro_finds_everything_done_and_then_does_nothing(smoke):
    before = smoke.path(f"{RESULTS}/runs/dfp/depth-5/seed-0/train.json").stat().st_mtime_ns
    smoke.run("dvc", "repro")
    assert smoke.path(f"{RESULTS}/runs/dfp/depth-5/seed-0/train.json").stat().st_mtime_ns == before
    assert "Data and pipelines are up to date" in smoke.run("dvc", "repro")


def test_dvc_shows_metrics_and_plots(smoke):
    shown = json.loads(smoke.run("dvc", "metrics", "show", "--json"))
    values = next(iter(shown.values()))["data"][f"{RESULTS}/metrics.json"]["data"]
    rows = [line for line in records(smoke.path(f"{RESULTS}/experiments.csv")) if line["metric"] == "miou"]
    seeds = [float(line["value"]) for line in rows if line["study"] == "dfp" and line["row"] == "depth 2"]
    others = [float(line["value"]) for line in rows if line["study"] == "dfp" and line["row"] != "depth 2"]
    assert values["dfp"] == pytest.approx(max(sum(seeds) / 2, *others))
    assert len(values) == 14
    assert max(map(len, smoke.run("dvc", "metrics", "show").splitlines())) < 250
    smoke.run("dvc", "plots", "show", "--out", "plots")
    page = smoke.path("plots/index.html").read_text()
    assert "dfp_curves" in page
    assert "dfp_tradeoff" in page


@pytest.fixture(scope="module")
def pulled(smoke, tmp_path_factory):
    """Another clone, with the results of the first through a folder that both know."""
    folder = tmp_path_factory.mktemp("pulled")
    smoke.run("dvc", "remote", "add", "--local", "shared", str(folder / "remote"))
    smoke.run("dvc", "push", "--remote", "shared", "dvc.yaml")
    fresh = make_clone(folder / "clone")
    fresh.path("dvc.lock").write_text(smoke.path("dvc.lock").read_text())
    fresh.run("dvc", "remote", "add", "--local", "shared", str(folder / "remote"))
    fresh.run("dvc", "pull", "--remote", "shared", "dvc.yaml")
    return fresh


def test_results_pulled_into_a_fresh_clone_are_complete_and_nothing_runs_again(smoke, pulled):
    for name in (
        "experiments.csv",
        "metrics.json",
        "report.html",
        "runs/dfp/depth-1/seed-0/model.safetensors",
    ):
        assert pulled.path(f"{RESULTS}/{name}").read_bytes() == smoke.path(f"{RESULTS}/{name}").read_bytes()
    output = pulled.run("snakemake", "--cores", "all")
    assert "Nothing to be done" in output
    assert "Data and pipelines are up to date" in pulled.run("dvc", "repro")
    assert not pulled.path("data/scenes").exists()


def test_an_edited_title_reruns_one_figure_and_the_report_where_results_were_pulled(pulled):
    pulled.edit("params.yaml", "Training loss and validation mIoU", "Loss and mIoU")
    output = pulled.run(*without_root(), "dvc", "repro")
    assert "train " not in output
    assert jobs_run(output) == {"figure": 1, "report": 1}
    assert "Loss and mIoU" in pulled.path(f"{RESULTS}/report.html").read_text()


def test_a_finished_training_whose_outputs_were_lost_is_not_trained_again(smoke):
    run = smoke.path(f"{RESULTS}/runs/dfp/depth-1/seed-0")
    before = json.loads((run / "train.json").read_text())
    for name in ("train.json", "model.safetensors", "log.csv", "curve.csv"):
        (run / name).unlink()
    smoke.run("snakemake", "--cores", "all", f"{RESULTS}/runs/dfp/depth-1/seed-0/train.json")
    after = json.loads((run / "train.json").read_text())
    assert after["content"] == before["content"]
    # the record of the one training, with its duration, is the old one
    assert after["training"] == before["training"]


def test_a_submission_holds_one_mask_for_every_listed_image(smoke):
    manifest = json.loads(smoke.path(f"{RESULTS}/data/voc2012/manifest.json").read_text())
    command = ("python", "-m", "pipeline_src", "export-submission", "dfp/depth-2/seed-0")
    output = smoke.run(*command, "--root", manifest["root"], "--list", "val")
    archive = re.search(r"^(\S+\.tar\.gz) can be uploaded", output, flags=re.MULTILINE)
    assert archive is not None
    with tarfile.open(smoke.path(archive[1])) as tar:
        masks = [name for name in tar.getnames() if name.endswith(".png")]
    assert len(masks) == manifest["splits"]["val"]["images"]
    assert all(name.startswith("results/VOC2012/Segmentation/comp6_test_cls/") for name in masks)
