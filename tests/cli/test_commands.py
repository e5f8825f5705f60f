"""`list`, `describe`, `plan`: what they print, as text and as JSON, and how they refuse."""

import json
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from pipeline_src.cli import verify
from pipeline_src.cli.config_values import tree_of
from pipeline_src.cli.main import main
from pipeline_src.cli.plan import _step_line
from pipeline_src.cli.text import columns, duration, large
from pipeline_src.errors import run_command
from pipeline_src.planning.work_left import WorkLeft
from pipeline_src.provenance.verify import Checked


@pytest.fixture
def command(project, monkeypatch, capsys):
    """Run a command in this process; what it prints, or what it says where it fails."""

    def run(*arguments: str, status: int = 0) -> str:
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "argv", ["pipeline_src", *arguments])
        with pytest.raises(SystemExit) as ended:
            run_command(main)
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == status, printed.out + printed.err
        return printed.out if status == 0 else printed.err

    return run


def test_the_package_is_a_command(project):
    line = [sys.executable, "-m", "pipeline_src", "list", "--scale", "papr"]
    done = subprocess.run(line, cwd=project, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["list", "describe", "plan", "predict", "verify", "export-submission"])
def test_every_command_explains_itself(command, name):
    assert "--scale" in command(name, "--help")


def test_list_names_runs_and_the_rows_that_they_serve(command):
    found = json.loads(command("list", "--scale", "paper", "--json"))
    assert len(found["runs"]) == 30 + 5 * 52 + 5 * 17 + 1 + 5 * (10 + 4) + 5 * 14
    first = found["runs"][0]
    assert first["run"] == "dfp/depth-5/seed-0"
    assert first["serves"] == [{"table": "dfp_table1", "row": "depth 5"}]
    text = command("list", "--scale", "paper")
    assert "dfp/depth-0/seed-4" in text
    assert "516 runs at scale paper" in text


def test_describe_counts_the_paper_network_without_data_or_weights(command):
    found = json.loads(command("describe", "dfp/depth-0/seed-0", "--scale", "paper", "--json"))
    # torchvision's ResNet-50 without its classifier, an encoder from 2048 to 1024 channels with two
    # batch normalisations, and a 1x1 classifier of 21 classes
    encoder = 2048 * 1024 + 9 * 1024 * 1024 + 2 * 2 * 1024
    assert found["cost"]["parameters"] == 25_557_032 - (2048 * 1000 + 1000) + encoder + 1024 * 21 + 21
    assert found["cost"]["crop"] == [512, 512]
    assert found["model"]["pyramid"] == {"kind": "dfp", "depth": 0}
    assert found["recipe"]["epochs"] == 30
    deep = json.loads(command("describe", "dfp/depth-5/seed-0", "--scale", "paper", "--json"))
    # what the three scales cost of the network and the encoder; the classifier adds a little
    assert 1.8125 < deep["cost"]["flops"] / found["cost"]["flops"] < 1.82
    assert deep["cost"]["parts"].keys() == {"backbone", "pyramid", "decoder"}


def test_describe_shows_the_evaluation_of_the_run_and_not_the_global_one(command):
    run = "scale_eq_encoders/encoder-ConvNeXt-T_data-VOC2012_equalizer-without/seed-0"
    found = json.loads(command("describe", run, "--scale", "paper", "--json"))["evaluation"]
    assert found[run]["mode"] == "slide" and found[run]["window"] == [512, 512]
    # two rows of IPG-Net's Table 6 test one training at one and at three sizes
    twice = json.loads(
        command("describe", "ipg_voc/network-IPG-RCNN-IPG-Net-50/seed-0", "--scale", "paper", "--json")
    )
    assert [way["scales"] for way in twice["evaluation"].values()] == [
        [[1000, 600]],
        [[800, 500], [1000, 600], [1333, 800]],
    ]


def test_describe_as_text_shows_every_section(command):
    text = command("describe", "dfp/depth-2/seed-0")
    for word in ("serves dfp: depth 2", "model:", "data:", "recipe:", "PARAMETERS", "backbone"):
        assert word in text


def test_an_unknown_run_is_one_line_with_close_names(command):
    error = command("describe", "dfp/depth-7/seed-0", status=2)
    assert error.startswith("error: no run 'dfp/depth-7/seed-0' at scale demo; did you mean dfp/depth-")
    assert error.count("\n") == 1


def test_a_submission_of_a_run_without_data_says_what_is_not_here(command):
    error = command("export-submission", "deepfuse/merge-plain/seed-0", "--scale", "paper", status=2)
    assert error.startswith(
        "error: run deepfuse/merge-plain/seed-0 is not trained, since its data are not here: "
    )
    assert "gtFine_trainvaltest.zip" in error and error.count("\n") == 1
    error = command("export-submission", "deepfuse/plainer/seed-0", "--scale", "paper", status=2)
    assert error == "error: no run 'deepfuse/plainer/seed-0' at scale paper; `list` names them\n"


def test_plan_says_state_and_reason_of_every_job(command):
    found = json.loads(command("plan", "--scale", "paper", "--json"))
    train = [job for job in found["jobs"] if job["step"] == "train"]
    # Cityscapes needs a login and is not here: its eight rows are not trained
    assert len(train) == 30 + 5 * (52 - 8) + 5 * 17 + 1 + 5 * (10 + 4)
    assert all(
        job["state"] in ("run", "cached") and (job["why"] or job["state"] == "cached") for job in train
    )
    assert "train: " in command("plan", "--step", "train")
    assert "no such step" in command("plan", "--step", "trian", status=2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--config", "seeds=0"), "error: --config: seeds: 0 is not allowed; use an integer above 0\n"),
        (("--config", "seeds"), "error: --config 'seeds': write it as KEY=VALUE\n"),
        (("--configfile", "absent.yaml"), "error: absent.yaml: no such file\n"),
        (("--scale", "papr"), "use demo, smoke, lite or paper\n"),
    ],
)
def test_bad_options_end_in_one_line(command, arguments, expected):
    assert command("list", *arguments, status=2).endswith(expected)


def test_config_values_reach_nested_keys(command):
    found = command("describe", "dfp/depth-2/seed-0", "--config", "recipes.dfp.batch=6", "--json")
    assert json.loads(found)["recipe"]["batch"] == 6


def test_a_config_value_may_hold_an_equals_sign():
    assert tree_of("mirror=https://there.org/get?a=1&b=2") == {"mirror": "https://there.org/get?a=1&b=2"}
    assert tree_of("recipes.dfp.batch=6") == {"recipes": {"dfp": {"batch": 6}}}


def test_a_line_says_what_is_left_of_a_step():
    took = "about 3 min 0 s of work (median of done jobs: 1 min 30 s)"
    assert _step_line("train", WorkLeft(3, 2, 1, 90.0)) == f"train: 3 cached, 2 to run, 1 not needed, {took}"
    assert _step_line("train", WorkLeft(3, 0, 0, 90.0)) == "train: 3 cached, 0 to run"


def test_verify_says_the_same_in_words_and_as_json():
    found = [Checked(files=2, bytes=3_000_000, absent=4), Checked(files=5, bytes=600_000, absent=3)]
    again = Counter({"table": 8, "metrics": 9})
    assert verify._as_text("demo", found, again, []) == [
        "scale demo: 2 records, 7 files with 3.6 MB compared",
        "7 inputs are not here and were not compared",
        "made again and compared: 8 table, 9 metrics",
    ]
    assert verify._as_json(found, again, [SimpleNamespace(step="train", name="x")], ["damaged"]) == {
        "records": 2,
        "files": 7,
        "bytes": 3_600_000,
        "inputs_not_here": 7,
        "made_again": {"table": 8, "metrics": 9},
        "to_run": ["train x"],
        "faults": ["damaged"],
    }


def test_columns_align_and_numbers_are_readable():
    assert columns([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc  d"]
    assert [duration(s) for s in (5, 95, 7300)] == ["5 s", "1 min 35 s", "2 h 1 min"]
    assert [large(v) for v in (12, 1500, 23_508_032, 4.27e10)] == ["12", "1.50 k", "23.51 M", "42.70 G"]
    assert [large(v) for v in (999, 1000, 999_994, 999_996)] == ["999", "1.00 k", "999.99 k", "1.00 M"]
