"""What Snakemake plans: all jobs at first, nothing after that, and exactly what an edit can change."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.graph.checkout import Checkout, job_counts
from tests.graph.lint_workflow import remaining

DFP_STUDY = {
    "scenes": 1, "manifest": 1, "train": 7, "evaluate": 7, "cost": 6,
    "tabulate": 1, "join": 1, "table": 1, "figure": 3, "report": 1,
}  # fmt: skip
SMOKE = {
    "scenes": 7, "manifest": 7, "calibrate": 14, "train": 66, "evaluate": 68, "cost": 41, "probe": 7,
    "simulate": 1, "tabulate": 14, "join": 1, "table": 14, "figure": 19, "report": 1,
}  # fmt: skip
IPG_RUNS = 17
"""Trainings of a seed for IPG-Net's tables, beside the one run on COCO that two of them start from."""

DFP = "pipeline_src/models/fusion/dfp.py"


SE = "pipeline_src/models/fusion/scale_equalizer.py"
WITH = 14
"""Runs of scale smoke with scale equalizers: 9 pairs, one with two seeds, and 4 rows of the comparison."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Checkout:
    """A checkout in which nothing was done, of all studies."""
    return Checkout.copy_to(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def fresh_dfp(tmp_path_factory) -> Checkout:
    """The same of one study."""
    return Checkout.copy_to(tmp_path_factory.mktemp("fresh-dfp"), "[dfp]")


@pytest.fixture(scope="session")
def templates(tmp_path_factory) -> Callable[[str], Path]:
    """Finished checkouts by what they select, each made once and only to be copied."""

    @cache
    def made(select: str) -> Path:
        checkout = Checkout.copy_to(tmp_path_factory.mktemp("finished"), select)
        checkout.finish("--scale", "smoke")
        return checkout.root

    return made


@pytest.fixture
def finished(templates, tmp_path) -> Checkout:
    """A checkout in which scale smoke is done for one study."""
    return Checkout(shutil.copytree(templates("[dfp]"), tmp_path, dirs_exist_ok=True))


@pytest.fixture
def finished_all(templates, tmp_path) -> Checkout:
    """A checkout in which all of scale smoke is done."""
    return Checkout(shutil.copytree(templates("all"), tmp_path, dirs_exist_ok=True))


def test_a_clean_checkout_plans_every_row(fresh):
    assert fresh.dry_run() == SMOKE


@pytest.mark.parametrize(("scale", "seeds"), [("lite", 1), ("paper", 5)])
def test_other_scales_are_planned_without_their_data(fresh, scale, seeds):
    counts = fresh.dry_run("--config", f"scale={scale}")
    # the eight rows of Cityscapes need a login and wait for it; IPG's two of three scales train nothing
    # the comparisons of all ideas have three seeds at least; two rows of the boxes' are Table 6's trainings
    answered = max(3, seeds)
    cross = 10 * answered + 6 * answered - 2 * seeds
    assert counts["train"] == seeds * (6 + 44 + IPG_RUNS) + 1 + cross
    assert counts["evaluate"] == counts["train"] + 2 * seeds
    assert counts["calibrate"] == 22 * seeds + 4 * answered
    # VOC2012 is read as masks and as boxes: one archive
    assert counts["fetch"] == counts["extract"] == 3 + 3 + 2
    assert counts["weights"] == 11 - 1 + 2


def test_the_full_figure_is_a_target_of_its_own(fresh):
    assert fresh.dry_run("results/smoke/figures/scale_eq_figure3_full.png") == {"simulate": 1, "figure": 1}


# --- scale equalizers --------------------------------------------------------------------------


def test_everything_is_done_once(finished_all):
    assert finished_all.dry_run() == {}


def test_editing_the_equalizer_reruns_the_runs_that_have_one(finished_all):
    finished_all.edit(SE, "def fold_scales(", "def unused():\n    return 1\n\n\ndef fold_scales(")
    counts = finished_all.dry_run()
    assert (counts["calibrate"], counts["train"], counts["evaluate"]) == (WITH, WITH, WITH)
    assert "cost" not in counts
    done = finished_all.run("snakemake", "-n")
    jobs = [line for line in done.stdout.splitlines() if line.startswith("Job ")]
    assert not [line for line in jobs if "equalizer-without" in line or "depth-" in line]


def test_editing_the_moments_calibrates_again(finished_all):
    moments = "pipeline_src/calibration/upsampled_moments.py"
    finished_all.edit(moments, "def merge_all(", "def unused():\n    return 1\n\n\ndef merge_all(")
    counts = finished_all.dry_run()
    assert counts["calibrate"] == WITH
    # the trainings wait for what comes of it; the plain ones have nothing to wait for
    assert counts["train"] == WITH


def test_editing_one_decoder_reruns_its_rows(finished_all):
    psp = "pipeline_src/models/decoders/psp.py"
    finished_all.edit(psp, "class PSPHead", "def unused():\n    return 1\n\n\nclass PSPHead")
    counts = finished_all.dry_run()
    assert {key: counts[key] for key in ("calibrate", "train", "evaluate", "cost", "probe")} == {
        "calibrate": 2, "train": 4, "evaluate": 4, "cost": 1, "probe": 1,
    }  # fmt: skip


def test_without_its_login_a_data_set_says_no_data(fresh):
    done = fresh.run("snakemake", "-n", "-p", "--config", "scale=paper", "select=[scale_eq_decoders]")
    assert "cityscapes" not in done.stdout.lower().replace("scale_eq", "").split("job stats")[-1]
    rows = fresh.job("paper", "tabulate", "scale_eq_decoders").params["rows"]
    lacking = [row for row in rows if row.get("status") == "no data"]
    assert len(lacking) == 8
    assert all(row["runs"] == [] and "need a login" in row["reason"] for row in lacking)
    assert all(row["architecture"] for row in lacking)


# --- trainings that start from another one -------------------------------------------------------


@pytest.fixture
def finished_voc(tmp_path) -> Checkout:
    """A checkout in which IPG-Net's Table 6 is done, and the run on COCO that it starts from."""
    checkout = Checkout.copy_to(tmp_path, "[ipg_voc]")
    assert checkout.dry_run()["train"] == 4
    checkout.finish("--scale", "smoke")
    assert checkout.dry_run() == {}
    return checkout


def test_what_starts_from_a_run_waits_for_it(finished_voc):
    finished_voc.edit("params.yaml", "  ipg_pretrain: # where", "  ipg_pretrain: # really where")
    assert finished_voc.dry_run() == {}
    # another recipe on COCO: its run, and of Table 6 those that start from it
    finished_voc.edit_smoke("optimizer: {lr: 0.02}\n        clip", "optimizer: {lr: 0.01}\n        clip")
    finished_voc.edit_smoke("ipg_voc: *short_boxes", "ipg_voc: {<<: *short_boxes, optimizer: {lr: 0.02}}")
    counts = finished_voc.dry_run()
    assert counts["train"] == 2 and counts["evaluate"] == 2
    assert "cost" not in counts
    why = finished_voc.why("train", "ipg_voc/network-IPG-RCNN-IPG-Net-101/seed-0")
    assert why == ["input init_from is rebuilt (train ipg_pretrain/base/seed-0)"]


# --- one study -----------------------------------------------------------------------------------


def test_words_of_config_are_read_as_the_parameters_are(fresh_dfp):
    done = fresh_dfp.run(
        "snakemake", "-n", "-p", "--config", "scale=lite", "accept_unverified=true", "seeds=2"
    )
    weights = [line for line in done.stdout.splitlines() if "/jobs/weights/" in line and " run " in line]
    assert len(weights) == 1 and "--accept-unverified" in weights[0]
    assert job_counts(done.stdout)["train"] == 12


def test_one_table_needs_only_its_study(fresh_dfp):
    counts = fresh_dfp.dry_run("results/smoke/tables/dfp_table1.md")
    assert counts == {key: DFP_STUDY[key] for key in DFP_STUDY if key not in ("join", "figure", "report")}


def test_one_run_needs_only_its_data(fresh_dfp):
    counts = fresh_dfp.dry_run("results/smoke/runs/dfp/depth-3/seed-0/metrics.json")
    assert counts == {"scenes": 1, "manifest": 1, "train": 1, "evaluate": 1}


def test_the_default_profile_is_loaded_by_plain_snakemake(fresh_dfp):
    done = fresh_dfp.run("snakemake", "-n")
    assert "profiles/default" in done.stdout + done.stderr


def test_the_graph_can_be_drawn(fresh_dfp):
    assert fresh_dfp.run("snakemake", "--rulegraph").stdout.lstrip().startswith("digraph")


def test_planning_imports_no_torch(fresh_dfp):
    done = fresh_dfp.run("python", "-X", "importtime", "-m", "snakemake", "-n")
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "pipeline_src.planning.workflow" in imported
    assert not imported & {"torch", "torchvision", "timm"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--config", "scale=dmo"), "error: --config: scale: 'dmo' is not a scale (did you mean 'demo'?)"),
        (
            ("--configfile", "bad.yaml"),
            "error: bad.yaml: recipes.dfp.batch: -3 is not allowed; use an integer above 0",
        ),
    ],
)
def test_bad_parameters_end_in_one_line_before_any_job(fresh_dfp, arguments, expected):
    (fresh_dfp.root / "bad.yaml").write_text("recipes: {dfp: {batch: -3}}\n")
    done = fresh_dfp.run("snakemake", "-n", *arguments, status=2)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line and "profile" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(expected)


def test_a_target_that_does_not_exist_says_so(fresh_dfp):
    done = fresh_dfp.run("snakemake", "-n", "results/smoke/runs/dfp/depth-9/seed-0/metrics.json", status=1)
    assert "there is no run 'dfp/depth-9/seed-0' at scale smoke" in done.stdout + done.stderr


def test_planning_other_parameters_changes_nothing_that_a_running_workflow_reads(fresh_dfp):
    def files():
        return {path: path.read_bytes() for path in fresh_dfp.root.glob("work/smoke/jobs/**/*.json")}

    fresh_dfp.dry_run()
    before = files()
    fresh_dfp.dry_run("--config", "recipes={dfp: {batch: 4}}")
    after = files()
    assert len(after) > len(before) > 0
    assert {path: after[path] for path in before} == before
    # a plan goes when nothing runs any more that could read it
    assert not list(fresh_dfp.root.glob("work/smoke/plans/*"))


def test_a_clusters_job_does_what_was_planned_whatever_was_edited_since(tmp_path):
    checkout = Checkout.copy_to(tmp_path, "[dfp]")
    plan = (
        "from pipeline_src.planning.workflow import *; "
        "print(open_plan({}, [], Process(shares_plan=lambda: True)).path)"
    )
    path = checkout.run("python", "-c", plan).stdout.strip()
    (name,) = json.loads((tmp_path / path).read_text())["jobs"]["scenes"]
    (tmp_path / "params.yaml").write_text("scale: nonsense")
    # as an executor starts it on another machine
    command = ("snakemake", "--mode", "remote", "--target-jobs", f"scenes:dataset={name}", "--cores", "1")
    options = ("--allowed-rules", "scenes", "--force-use-threads", "--nolock", "--no-hooks")
    checkout.run(*command, *options, FUSEBENCH_PLAN=path)
    assert (tmp_path / f"data/scenes/{name}.json").is_file()
    refused = checkout.run(*command, *options, status=2, FUSEBENCH_PLAN="work/demo/plans/gone.json")
    assert "error: work/demo/plans/gone.json: no such file" in refused.stdout + refused.stderr


# --- reruns ------------------------------------------------------------------------------------


def test_nothing_is_to_do_when_everything_is_done(finished):
    assert finished.dry_run() == {}


def test_results_without_snakemakes_own_records_are_still_done(finished):
    for path in finished.root.rglob("results/**/*"):
        path.touch()
    assert not (finished.root / ".snakemake/metadata").exists()
    assert finished.dry_run() == {}


def test_pulled_results_need_neither_data_nor_records_of_snakemake(finished):
    for folder in ("data/scenes", "work", ".snakemake"):
        shutil.rmtree(finished.root / folder, ignore_errors=True)
    assert finished.dry_run() == {}
    assert "0 to run" in finished.run("snakemake", "-n").stderr
    # what a change needs is made for it, and only that
    finished.edit_smoke("overlays: 4", "overlays: 3")
    assert finished.dry_run() == {
        "scenes": 1, "evaluate": 7, "tabulate": 1, "join": 1, "table": 1, "figure": 2, "report": 1,
    }  # fmt: skip


def test_a_checksum_that_becomes_known_reruns_nothing(tmp_path):
    checkout = Checkout.copy_to(tmp_path, "[dfp]")
    checkout.finish("--scale", "paper")
    record = json.loads((tmp_path / "data/weights/resnet50.tv_in1k.json").read_text())
    (tmp_path / "data/weights/resnet50.tv_in1k.json").write_text(json.dumps({**record, "sha256": "a" * 64}))
    accepted = tmp_path / "data/weights/accepted.csv"
    rows = "tag,file,bytes,sha256,url\nresnet50.tv_in1k,resnet50.tv_in1k.safetensors,9,{},https://x.org/w\n"
    accepted.write_text(rows.format("a" * 64))
    assert checkout.dry_run("--config", "scale=paper") == {}
    accepted.write_text(rows.format("b" * 64))
    counts = checkout.dry_run("--config", "scale=paper")
    assert (counts["weights"], counts["train"]) == (1, 30)


def test_editing_dfp_reruns_the_dfp_runs_and_nothing_else(finished):
    finished.edit(DFP, "def forward(self,", "def unused(self):\n        return 1\n\n    def forward(self,")
    done = finished.run("snakemake", "-n")
    output = done.stdout + done.stderr
    # seven runs: depths 0 to 5, depth 2 with two seeds
    assert job_counts(output) == {
        "train": 7, "evaluate": 7, "cost": 6,
        "tabulate": 1, "join": 1, "table": 1, "figure": 3, "report": 1,
    }  # fmt: skip
    jobs = [line for line in output.splitlines() if line.startswith("Job ")]
    assert len(jobs) > 17
    assert f"code changed: {DFP}: DeepFeaturePyramid.unused" in output


def test_editing_comments_docstrings_and_layout_reruns_nothing(finished):
    for path in (finished.root / "pipeline_src").rglob("*.py"):
        path.write_text("# a comment\n" + path.read_text() + "\n\n# another\n")
    finished.edit(DFP, "def forward(self,", "def forward(  # here too\n        self,")
    finished.edit(DFP, '"""', '"""Another docstring. ')
    assert finished.dry_run() == {}


def test_the_learning_rate_changes_no_cost(finished):
    finished.edit("params.yaml", "kind: sgd, lr: 0.02", "kind: sgd, lr: 0.01")
    counts = finished.dry_run()
    assert counts["train"] == 7
    assert "cost" not in counts


def test_an_overlay_is_read_as_the_parameters_are(finished):
    (finished.root / "my.yaml").write_text("recipes: {dfp: {optimizer: {lr: 4e-4}}}\n")
    assert finished.dry_run("--configfile", "my.yaml")["train"] == 7


def test_a_plots_style_reruns_its_figure_and_the_report(finished):
    finished.edit("params.yaml", "Training loss and validation mIoU", "Another title")
    assert finished.dry_run() == {"figure": 1, "report": 1}


def test_a_parameter_of_one_run_reruns_its_runs_and_what_shows_them(finished):
    finished.edit("params.yaml", "seed: 0\n", "seed: 1\n")
    assert finished.dry_run() == {key: DFP_STUDY[key] for key in DFP_STUDY if key != "cost"}
    finished.edit("params.yaml", "seed: 1\n", "seed: 0\n")
    assert finished.dry_run() == {}


def test_another_studys_parameters_rerun_nothing_of_this_one(finished):
    recipe = "optimizer: {kind: sgd, lr: 1.0}, schedule: {kind: constant}, epochs: 1, batch: 2"
    augment = "augment: {crop: [8, 8]}"
    finished.edit("params.yaml", "recipes:\n", f"recipes:\n  other: {{{recipe}, {augment}}}\n")
    assert finished.dry_run() == {}


def test_a_deleted_result_is_made_again_with_what_shows_it(finished):
    (finished.root / "results/smoke/runs/dfp/depth-1/seed-0/metrics.json").unlink()
    counts = finished.dry_run()
    assert counts["evaluate"] == 1
    assert "train" not in counts


def test_changed_reference_numbers_rerun_their_table_only(finished):
    finished.edit("workflow/reference/paper_values.csv", "69.87", "69.88")
    counts = finished.dry_run()
    assert set(counts) == {"table", "figure", "report"}


def test_a_plan_says_why(finished):
    finished.edit_smoke("overlays: 4", "overlays: 3")
    assert finished.why("evaluate", "dfp/depth-1/seed-0") == [
        "parameters changed: evaluation.overlays (4 -> 3)"
    ]


# --- GPUs and cores ----------------------------------------------------------------------------

FAKE_LAUNCH = """
import json, sys, time
from pathlib import Path
from tests.graph.finished import finish_file
job = sys.argv[2]
step = Path(job).parts[3]
granted = int(sys.argv[sys.argv.index("--gpus") + 1])
start = time.time()
time.sleep(2.0 if step == "train" else 0.1)
finish_file(job)
with open("spans.jsonl", "a") as log:
    log.write(json.dumps([step, granted, start, time.time()]) + "\\n")
"""


def spans(checkout: Checkout, gpus: str) -> list[tuple[str, int, float, float]]:
    """Run the jobs that may use a GPU, as naps, and return (step, GPUs, start, end) of each."""
    checkout.finish("--scale", "smoke")
    (checkout.root / "pipeline_src/running/run_job.py").write_text(
        'def main() -> None:\n    exec(open("fake.py").read(), {})\n'
    )
    (checkout.root / "fake.py").write_text(FAKE_LAUNCH)
    for folder in ("runs", "cost", "studies"):
        shutil.rmtree(checkout.root / "results/smoke" / folder)
    (checkout.root / "results/smoke/experiments.json").unlink()
    # what comes after would read the numbers that naps do not write
    until = ("--until", "train", "evaluate", "cost")
    checkout.run("snakemake", "experiments", "--cores", "8", *until, CUDA_VISIBLE_DEVICES=gpus)
    return [json.loads(line) for line in (checkout.root / "spans.jsonl").read_text().splitlines()]


def most_at_once(found: list[tuple[str, int, float, float]], step: str) -> int:
    """The largest number of jobs of a step that ran at one moment."""
    chosen = [span for span in found if span[0] == step]
    return max(sum(other[2] <= span[2] < other[3] for other in chosen) for span in chosen)


@pytest.fixture(scope="module")
def two_gpus(tmp_path_factory):
    return spans(Checkout.copy_to(tmp_path_factory.mktemp("two"), "[dfp]"), "0,1")


def test_no_more_trainings_run_at_once_than_there_are_gpus(two_gpus):
    assert most_at_once(two_gpus, "train") == 2
    assert {granted for _, granted, _, _ in two_gpus} == {1}


def test_cost_jobs_run_alone(two_gpus):
    for step, _, start, end in two_gpus:
        if step == "cost":
            assert sum(s < end and start < e for _, _, s, e in two_gpus) == 1


def test_without_gpus_cores_are_the_limit_and_no_job_asks_for_a_gpu(tmp_path):
    found = spans(Checkout.copy_to(tmp_path, "[dfp]"), "")
    assert most_at_once(found, "train") > 2
    assert {granted for _, granted, _, _ in found} == {0}


def test_the_lint_filter_drops_one_remark_and_keeps_the_rest():
    report = (
        "Lints for rule a (line 1, x.smk):\n"
        "    * Specify a conda environment or container for each rule.:\n      text\n"
        "    * No log directive defined:\n      text\n"
    )
    assert remaining(report) == ["rule a (line 1, x.smk): No log directive defined"]
