"""Studies become runs and rows: names, sharing, seeds, baselines."""

import re
import subprocess

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.resolve import expand_path
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.data.segmentation.transform_options import RandomResize
from pipeline_src.errors import InputError
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.reporting.reference import read_paper_values


def experiments(tree: dict | None = None, scale: str = "paper"):
    return expand(load_params(overlays=[Layer("my.yaml", tree or {})], scale=scale))


def test_dfp_has_six_rows_of_five_seeds_at_scale_paper():
    found = experiments({"select": ["dfp"]})
    assert len(found.runs) == 30
    assert [row.label for row in found.rows["dfp"]] == [f"depth {d}" for d in (5, 4, 3, 2, 1, 0)]
    assert [row.baseline for row in found.rows["dfp"]] == ["depth 0"] * 5 + [None]
    assert len(found.architectures) == 6


def test_scale_equalization_has_every_cell_of_both_tables_in_pairs():
    found = experiments()
    for study, networks, data in (("scale_eq_encoders", 9, 2), ("scale_eq_decoders", 4, 2)):
        rows = found.rows[study]
        assert len(rows) == 2 * networks * data
        assert all(len(row.runs) == 5 for row in rows)
        pairs = {row.label: row.baseline for row in rows if row.baseline is not None}
        assert len(pairs) == networks * data
        assert all(baseline == label.replace(", with", ", without") for label, baseline in pairs.items())
        by_label = {row.label: row for row in rows}
        for label, baseline in pairs.items():
            row, plain = by_label[label], by_label[baseline]
            assert row.pair == plain.pair == label.removesuffix(", with")
            # a folded equalizer costs nothing: the network is measured once
            assert row.architecture == plain.architecture
            ours, theirs = found.runs[row.runs[0]], found.runs[plain.runs[0]]
            assert ours.model["equalizer"]["form"] == "folded" and theirs.model["equalizer"] is None
            assert {**ours.model, "equalizer": None} == theirs.model
            assert (ours.recipe, ours.seed, ours.dataset) == (theirs.recipe, theirs.seed, theirs.dataset)


def test_the_papers_numbers_have_a_row_each():
    found = experiments()
    printed = read_paper_values("workflow/reference/paper_values.csv")
    for study, table in (("scale_eq_encoders", 1), ("scale_eq_decoders", 2)):
        rows = {value["row"] for value in printed if value["table"] == f"scale_eq_table{table}"}
        assert rows == {row.label for row in found.rows[study]}


def test_the_other_setting_of_cityscapes_is_an_overlay():
    overlay = Layer("examples/cityscapes_769.yaml", read_yaml("examples/cityscapes_769.yaml"))
    found = expand(load_params(overlays=[overlay]))
    assert len(found.runs) == 4 * 2 * 5
    for run in found.runs.values():
        assert run.recipe.augment.crop == [769, 769]
        assert run.recipe.augment.resize == RandomResize([0.5, 2.0], [2049, 1025])
        assert run.model["decoder"]["align_corners"] and run.model["auxiliary"]["align_corners"]
        evaluation = found.scorings[run.name].evaluation
        assert (evaluation.window, evaluation.stride) == ([769, 769], [513, 513])
        assert evaluation.resize == [2049, 1025]
    printed = {value["row"] for value in read_paper_values("workflow/reference/paper_values.csv")}
    assert {row.label for row in found.rows["cityscapes_769"]} <= printed


def test_another_evaluation_is_no_other_training():
    vary = {"evaluation": ["own_size", "short_side_512"]}
    tables = [{"number": 1, "title": "t", "row": "{evaluation}", "metrics": ["miou"]}]
    study = {**_study(), "vary": vary, "tables": tables, "seeds": 2}
    found = experiments({"select": ["mine"], "studies": {"mine": study}})
    assert list(found.runs) == [f"mine/evaluation-own-size/seed-{seed}" for seed in (0, 1)]
    own, other = found.rows["mine"]
    assert own.runs == other.runs == own.scorings
    assert other.scorings == tuple(f"mine/evaluation-short-side-512/seed-{seed}" for seed in (0, 1))
    for name in (*own.scorings, *other.scorings):
        assert found.scorings[name].run in found.runs
    plan = plan_everything(
        load_params(
            overlays=[Layer("my.yaml", {"select": ["mine"], "studies": {"mine": study}})], scale="paper"
        )
    )
    assert len(plan.of("train")) == 2 and len(plan.of("evaluate")) == 4
    trained = {job.inputs["train"] for job in plan.of("evaluate")}
    assert trained == {job.sidecar for job in plan.of("train")}
    (report,) = plan.of("report")
    assert [run["name"] for run in report.params["runs"]] == [*own.scorings, *other.scorings]
    assert len(report.inputs["train"]) == len(report.inputs["evaluate"]) == 4


def test_another_threshold_of_tests_is_no_other_training_and_no_other_cost():
    vary = {"model.detector.test.score": [0.05, 0.3], "model.detector.proposals.post_nms_test": [1000, 300]}
    study = {
        "title": "t",
        "dataset": "coco",
        "model": {"backbone": "resnet50", "detector": {"kind": "faster_rcnn"}},
        "recipe": "ipg_coco",
        "vary": vary,
        "seeds": 2,
        "tables": [
            {
                "number": 1,
                "title": "t",
                "row": "{model.detector.test.score}, {model.detector.proposals.post_nms_test}",
                "metrics": ["ap"],
            }
        ],
    }
    found = experiments({"select": ["mine"], "studies": {"mine": study}})
    rows = found.rows["mine"]
    assert len(found.runs) == 2 and len(found.scorings) == 8
    assert len({row.runs for row in rows}) == 1
    # proposals in a test take their time; which detections are kept in the end does not change the cost
    assert [row.architecture for row in rows] == [rows[0].architecture, rows[1].architecture] * 2
    assert rows[0].architecture != rows[1].architecture
    tested = [found.scorings[row.scorings[0]].model["detector"] for row in rows]
    assert [one["test"]["score"] for one in tested] == [0.05, 0.05, 0.3, 0.3]
    assert [one["proposals"]["post_nms_test"] for one in tested] == [1000, 300, 1000, 300]
    plan = plan_everything(
        load_params(
            overlays=[Layer("my.yaml", {"select": ["mine"], "studies": {"mine": study}})], scale="paper"
        )
    )
    for job in plan.of("train"):
        assert "test" not in job.params["model"]["detector"]
        assert "post_nms_test" not in job.params["model"]["detector"]["proposals"]
    said = [job.params["model"]["detector"]["test"]["score"] for job in plan.of("evaluate")]
    assert sorted(said) == [0.05] * 4 + [0.3] * 4


def test_a_run_that_two_studies_share_is_listed_under_the_row_that_it_is_named_after():
    tables = [{"number": 1, "title": "t", "row": "depth = {model.pyramid.depth}", "metrics": ["miou"]}]
    study = {**_study(), "vary": {"model.pyramid.depth": [0, 1]}, "tables": tables}
    study["model"] = {**study["model"], "pyramid": {"kind": "dfp", "depth": 0, "scales": [1.0, 0.75, 0.5]}}
    study["model"]["decoder"] = {**study["model"]["decoder"], "dropout": 0.0}
    overlay = Layer("my.yaml", {"select": ["dfp", "mine"], "studies": {"mine": study}})
    params = load_params(overlays=[overlay], scale="paper")
    found = expand(params)
    first, second = found.rows["dfp"][-1], found.rows["mine"][0]
    assert (first.label, second.label) == ("depth 0", "depth = 0")
    assert set(second.scorings) <= set(first.scorings)
    (report,) = plan_everything(params).of("report")
    listed = {run["name"]: run["row"] for run in report.params["runs"]}
    assert {listed[name] for name in first.scorings} == {"depth 0"}
    assert all(listed[name] == f"depth {name[10]}" for name in listed if name.startswith("dfp/depth-"))


def test_decay_by_layer_needs_a_network_that_has_it():
    vary = {"net": {"ConvNeXt": {"model.backbone": "swin_tiny", "recipe": "uper_convnext_t"}}}
    tree = {"scales": {"paper": {"studies": {"scale_eq_encoders": {"vary": {"encoder": vary["net"]}}}}}}
    message = (
        r"vary\.encoder\.ConvNeXt\.recipe: optimizer.layer_decay needs a backbone whose parameters have a "
        r"depth, of family convnext; with backbone swin_tiny use null"
    )
    with pytest.raises(InputError, match=message):
        experiments(tree)


def test_an_evaluation_by_name():
    found = experiments()
    one = found.scorings["scale_eq_encoders/encoder-ConvNeXt-T_data-ADE20K_equalizer-with/seed-0"]
    assert (one.evaluation.mode, one.evaluation.stride) == ("slide", [341, 341])
    one = found.scorings["scale_eq_decoders/decoder-PSPHead_data-Cityscapes_equalizer-with/seed-0"]
    assert (one.evaluation.mode, one.evaluation.resize) == ("whole", None)
    with pytest.raises(
        InputError, match=r"studies\.dfp\.evaluation: 'hole' is not in evaluations; use own_size"
    ):
        experiments({"studies": {"dfp": {"evaluation": "hole"}}})


@pytest.mark.parametrize(
    ("equalizer", "message"),
    [
        ({"form": "folded"}, "concatenates nothing that could be equalised"),
        (
            {"form": "folded", "concatenations": ["decoder.cat"]},
            "'decoder.cat' is no concatenation of this network",
        ),
    ],
)
def test_an_equalizer_that_has_no_place_is_refused(equalizer, message):
    with pytest.raises(InputError, match=message):
        experiments({"studies": {"dfp": {"model": {"equalizer": equalizer}}}, "select": ["dfp"]})


@pytest.mark.parametrize(
    ("images", "accumulate", "fits"), [(2, 4, True), (1, 4, False), (8, 1, True), (7, 1, False)]
)
def test_images_to_calibrate_on_are_at_least_those_of_a_micro_batch(images, accumulate, fits):
    equalizer = {"form": "folded", "images": images}
    study = {
        **_study(),
        "model": {"backbone": "resnet50", "decoder": {"kind": "fcn"}, "equalizer": equalizer},
    }
    recipe = {"batch": 8, "accumulate": accumulate}
    tree = {"studies": {"mine": study}, "select": ["mine"], "recipes": {"dfp": recipe}}
    if fits:
        assert {run.model["equalizer"]["images"] for run in experiments(tree).runs.values()} == {images}
    else:
        with pytest.raises(InputError, match=f"{images} images are fewer than a batch of {8 // accumulate};"):
            experiments(tree)


def test_two_figures_of_one_file_are_refused():
    figure = {"kind": "curves", "subject": "branch_scales_encoders", "title": "t"}
    with pytest.raises(InputError, match=r"'scale_eq_branch_scales_encoders' is the file of .* as well"):
        experiments({"studies": {"scale_eq_decoders": {"figures": [figure]}}})


def test_depth_0_has_an_encoder_unless_the_switch_says_no():
    runs = experiments({"select": ["dfp"]}).runs
    assert runs["dfp/depth-0/seed-0"].model["pyramid"] == {"kind": "dfp", "depth": 0}
    assert runs["dfp/depth-1/seed-0"].model["pyramid"]["encoder"] == "shared"
    pyramid = {"encoder": "per_branch", "encoder_at_depth_0": False}
    other = experiments({"select": ["dfp"], "studies": {"dfp": {"model": {"pyramid": pyramid}}}}).runs
    assert other["dfp/depth-0/seed-0"].model["pyramid"] is None
    assert other["dfp/depth-1/seed-0"].model["pyramid"]["encoder"] == "per_branch"


def test_what_a_depth_does_not_use_makes_no_other_run():
    def dfp(**pyramid: object):
        return experiments({"select": ["dfp"], "studies": {"dfp": {"model": {"pyramid": pyramid}}}}).runs

    usual, several, without = dfp(), dfp(encoder="per_branch", scales=[1.0]), dfp(encoder_at_depth_0=False)
    name = "dfp/depth-{}/seed-0".format
    assert several[name(0)].model == usual[name(0)].model != without[name(0)].model
    assert without[name(2)].model == usual[name(2)].model != several[name(2)].model


@pytest.mark.parametrize(
    ("decoder", "names"), [({"kind": "fcn"}, ["decoder.concat"]), ({"kind": "fcn", "num_convs": 0}, None)]
)
def test_at_depth_0_the_pyramid_concatenates_nothing(decoder, names):
    decoder = {"concat_input": names is not None, **decoder}
    model = {"backbone": "resnet50", "pyramid": {"kind": "dfp", "depth": 0}, "decoder": decoder}
    study = {**_study(), "model": {**model, "equalizer": {"form": "folded"}}}
    tree = {"studies": {"mine": study}, "select": ["mine"]}
    if names is None:
        with pytest.raises(InputError, match="concatenates nothing that could be equalised"):
            experiments(tree)
    else:
        (equalizer,) = {
            str(run.model["equalizer"]["concatenations"]) for run in experiments(tree).runs.values()
        }
        assert equalizer == str([names])


def test_smoke_runs_two_seeds_for_one_row_only():
    rows = experiments(scale="smoke").rows["dfp"]
    assert {row.label: len(row.runs) for row in rows if len(row.runs) != 1} == {"depth 2": 2}


def test_two_studies_that_need_the_same_training_share_it():
    other = {
        "title": "another",
        "dataset": "voc2012",
        "recipe": "dfp",
        "model": {
            "backbone": "resnet50",
            "decoder": {"kind": "fcn", "num_convs": 0, "concat_input": False, "dropout": 0.0},
        },
    }
    plain = {"model": {"pyramid": {"encoder_at_depth_0": False}}}
    found = experiments({"studies": {"other": other, "dfp": plain}, "select": ["dfp", "other"]})
    assert len(found.runs) == 30
    assert found.rows["other"][0].runs == tuple(f"dfp/depth-0/seed-{seed}" for seed in range(5))
    assert found.rows["other"][0].architecture == "dfp/depth-0"


def test_run_names_survive_unrelated_changes():
    names = set(experiments().runs)
    assert set(experiments({"recipes": {"dfp": {"batch": 6}}}).runs) == names
    assert set(experiments({"verdicts": {"points": 2.0}}).runs) == names


def test_labelled_settings_change_several_keys_at_once():
    vary = {
        "net": {
            "plain": {"model.pyramid": None},
            "dfp": {"model.pyramid": {"kind": "dfp", "depth": 2}, "recipe.batch": 6},
        },
        "recipe.optimizer.lr": [0.01, 0.1],
    }
    table = [{"number": 1, "title": "t", "row": "{net} {recipe.optimizer.lr}", "metrics": ["miou"]}]
    study = {"vary": vary, "baseline": {}, "tables": table, "figures": []}
    tree = {"studies": {"mine": {**_study(), **study}}, "select": ["mine"]}
    found = experiments(tree, scale="lite")
    assert list(found.runs) == [
        "mine/net-plain_lr-0.01/seed-0",
        "mine/net-plain_lr-0.1/seed-0",
        "mine/net-dfp_lr-0.01/seed-0",
        "mine/net-dfp_lr-0.1/seed-0",
    ]
    assert [run.recipe.batch for run in found.runs.values()] == [3, 3, 6, 6]
    assert [row.label for row in found.rows["mine"]] == ["plain 0.01", "plain 0.1", "dfp 0.01", "dfp 0.1"]


def two_axes(**study: object):
    vary = {"model.pyramid.depth": [0, 1], "recipe.optimizer.lr": [0.01, 0.1]}
    row = "{model.pyramid.depth} {recipe.optimizer.lr}"
    table = [{"number": 1, "title": "t", "row": row, "metrics": ["miou"]}]
    tree = {"vary": vary, "tables": table, "figures": [], "extra_seeds": [], **study}
    return experiments({"studies": {"dfp": tree}, "select": ["dfp"]})


def test_with_more_axes_a_row_is_compared_with_its_own_baseline():
    rows = two_axes().rows["dfp"]
    assert {row.label: row.baseline for row in rows} == {
        "0 0.01": None,
        "0 0.1": None,
        "1 0.01": "0 0.01",
        "1 0.1": "0 0.1",
    }


@pytest.mark.parametrize(("seeds", "expected"), [(1, [1, 3, 4, 4]), (2, [2, 3, 4, 4]), (5, [5] * 4)])
def test_extra_seeds_are_more_and_never_fewer(seeds: int, expected: list[int]):
    extra = [
        {"where": {"model.pyramid.depth": 1}, "seeds": 4},
        {"where": {"recipe.optimizer.lr": 0.1}, "seeds": 3},
    ]
    rows = two_axes(seeds=seeds, extra_seeds=extra).rows["dfp"]
    assert [len(row.runs) for row in rows] == expected


def test_extra_seeds_of_a_key_that_one_label_has():
    vary = {"rate": {"usual": {}, "high": {"recipe.optimizer.lr": 0.1}}, "model.pyramid.depth": [0, 1]}
    table = [{"number": 1, "title": "t", "row": "{rate} {model.pyramid.depth}", "metrics": ["miou"]}]
    tree = {"vary": vary, "tables": table, "figures": [], "baseline": {}}
    extra = [{"where": {"recipe.optimizer.lr": 0.1, "model.pyramid.depth": 1}, "seeds": 7}]
    study = {**_study(), **tree, "seeds": 1, "extra_seeds": extra}
    study["model"]["pyramid"] = {"kind": "dfp", "depth": 0}
    rows = experiments({"studies": {"mine": study}, "select": ["mine"]}).rows["mine"]
    assert [len(row.runs) for row in rows] == [1, 1, 1, 7]


def test_a_baseline_among_labelled_settings():
    vary = {
        "start": {
            "random": {"recipe.optimizer.lr": 0.1, "recipe.batch": 3},
            "tuned": {"recipe.optimizer.lr": 0.01, "recipe.batch": 6},
        },
        "model.pyramid.depth": [0, 1],
    }
    table = [{"number": 1, "title": "t", "row": "{start} {model.pyramid.depth}", "metrics": ["miou"]}]
    tree = {"studies": {"mine": {**_study(), "vary": vary, "tables": table, "baseline": {"recipe.batch": 3}}}}
    tree["studies"]["mine"]["model"]["pyramid"] = {"kind": "dfp", "depth": 0}
    rows = experiments(tree | {"select": ["mine"]}).rows["mine"]
    assert {row.label: row.baseline for row in rows} == {
        "random 0": None,
        "random 1": None,
        "tuned 0": "random 0",
        "tuned 1": "random 1",
    }


def test_a_baseline_is_named_by_the_label_of_its_axis():
    vary = {
        "network": {"plain": {}, "IPG": {"model.pyramid": {"kind": "ipg", "positions": [3]}}},
        "model.decoder.channels": [16, 32],
    }
    table = [{"number": 1, "title": "T", "row": "{network} {model.decoder.channels}", "metrics": ["miou"]}]
    study = {**_study(), "vary": vary, "tables": table, "baseline": {"network": "plain"}}
    rows = experiments({"select": ["mine"], "studies": {"mine": study}}).rows["mine"]
    assert {row.label: row.baseline for row in rows} == {
        "plain 16": None,
        "plain 32": None,
        "IPG 16": "plain 16",
        "IPG 32": "plain 32",
    }
    study["baseline"] = {"networks": "plain"}
    with pytest.raises(InputError, match=r"baseline.networks: is no axis or key path .* use network, model"):
        experiments({"select": ["mine"], "studies": {"mine": study}})


def test_a_row_of_other_seeds_is_paired_by_place():
    vary = {"network": {"plain": {}, "again": {"first_seed": 100}}}
    study = {**_study(), "vary": vary, "tables": [], "baseline": {"network": "plain"}, "seeds": 2}
    found = experiments({"select": ["mine"], "studies": {"mine": study}})
    plain, again = found.rows["mine"]
    assert [found.runs[run].seed for run in again.runs] == [100, 101]
    assert again.seeds == plain.seeds == (0, 1) and again.baseline == plain.label
    ours, theirs = found.runs[again.runs[0]], found.runs[plain.runs[0]]
    assert (ours.model, ours.recipe) == (theirs.model, theirs.recipe)
    assert again.architecture == plain.architecture


def test_a_merge_that_is_a_plain_sum_is_no_other_training():
    merges = [None, {"kind": "deepfuse", "blocks": 0}, {"kind": "deepfuse", "blocks": 1}]
    study = {**_study(), "vary": {"merge": {str(n): {"model.merge": one} for n, one in enumerate(merges)}}}
    study |= {"tables": [], "baseline": {}}
    study["model"] = {**study["model"], "decoder": {"kind": "uper"}}
    found = experiments({"select": ["mine"], "studies": {"mine": study}})
    none, zero, one = found.rows["mine"]
    assert none.runs == zero.runs != one.runs
    assert found.runs[one.runs[0]].model["merge"] == {
        "kind": "deepfuse",
        "combine": "sum",
        "blocks": 1,
        "drop_path": 0.1,
    }
    study["model"] = {**study["model"], "decoder": {"kind": "psp"}}
    with pytest.raises(
        InputError, match=r"vary.merge.1.model.merge: decoder psp merges no two maps; use null"
    ):
        experiments({"select": ["mine"], "studies": {"mine": study}})


def test_costs_are_measured_once_whatever_the_learning_rate():
    found = two_axes()
    assert len(found.architectures) == 2
    assert [row.architecture for row in found.rows["dfp"]] == ["dfp/depth-0_lr-0.01"] * 2 + [
        "dfp/depth-1_lr-0.01"
    ] * 2


@pytest.mark.parametrize("key", ["momentum", "weight_decay"])
def test_what_an_optimiser_leaves_out_costs_less_and_is_measured_apart(key: str):
    study = {**_study(), "vary": {f"recipe.optimizer.{key}": [0.0, 0.5, 0.9]}, "tables": [], "baseline": {}}
    found = experiments({"select": ["mine"], "studies": {"mine": study}})
    none, some, more = found.rows["mine"]
    assert none.architecture != some.architecture == more.architecture
    optimizer = found.architectures[none.architecture].setting["recipe"]["optimizer"]
    assert optimizer[key] == 0


@pytest.mark.parametrize(
    ("key", "values", "different"),
    [
        ("auxiliary_weight", [0.2, 0.4, 1.0, 0.0], 2),
        ("reduction", ["labelled_pixels", "all_pixels", "sum"], 1),
    ],
)
def test_what_a_loss_is_weighted_with_costs_nothing_unless_it_is_nothing(key: str, values, different: int):
    study = {**_study(), "vary": {f"recipe.loss.{key}": values}, "tables": [], "baseline": {}}
    rows = experiments({"select": ["mine"], "studies": {"mine": study}}).rows["mine"]
    assert len({row.runs for row in rows}) == len(values)
    assert len({row.architecture for row in rows}) == different


def test_the_cost_of_a_batch_in_parts_is_that_of_a_part():
    axes = {
        "split": {n: {"recipe.batch": b, "recipe.accumulate": a} for n, b, a in (("2", 2, 1), ("8", 8, 4))}
    }
    study = {**_study(), "vary": axes, "tables": [], "baseline": {}}
    found = experiments({"select": ["mine"], "studies": {"mine": study}})
    whole, parts = found.rows["mine"]
    assert whole.runs != parts.runs and whole.architecture == parts.architecture
    assert found.architectures[parts.architecture].setting["batch"] == 2


def test_weights_of_your_own_need_no_tag():
    own = {"file": "w.safetensors", "sha256": "0" * 64, "source": "s", "mean": [0.5] * 3, "std": [0.25] * 3}
    tree = {"backbones": {"resnet50": {"timm": "mobilenetv2_100", "weights": own}}}
    model = experiments(tree).runs["dfp/depth-0/seed-0"].model
    assert (model["backbone"]["timm"], model["backbone"]["family"]) == ("mobilenetv2_100", "mobilenetv2")
    assert (model["backbone"]["mean"], model["backbone"]["std"]) == ([0.5] * 3, [0.25] * 3)


def test_arguments_of_a_backbone_win_over_those_that_its_weights_bring():
    own = {"file": "w.safetensors", "sha256": "0" * 64, "source": "s", "mean": [0.5] * 3, "std": [0.25] * 3}
    own["model_args"] = {"drop_path_rate": 0.1, "stem_width": 32}
    backbone = {"timm": "resnet50", "weights": own, "args": {"drop_path_rate": 0.3}}
    model = experiments({"backbones": {"resnet50": backbone}}).runs["dfp/depth-0/seed-0"].model
    assert model["backbone"]["args"] == {"drop_path_rate": 0.3, "stem_width": 32}


def test_a_row_label_that_stands_for_several_rows_is_refused():
    with pytest.raises(InputError, match="stands for several rows"):
        experiments({"studies": {"dfp": {"vary": {"recipe.batch": [3, 6]}}}})


def test_paths_expand_variables_and_defaults(monkeypatch):
    monkeypatch.setenv("MY_DATA", "/data/mine")
    monkeypatch.delenv("OTHER", raising=False)
    assert str(expand_path("$MY_DATA/x")) == "/data/mine/x"
    assert str(expand_path("${OTHER:-/default}/x")) == "/default/x"
    with pytest.raises(InputError, match="needs the environment variable OTHER, which is not set"):
        expand_path("$OTHER/x")


@pytest.mark.parametrize("value", [None, "", "/data/mine"])
def test_a_default_stands_in_where_a_shell_would_take_it(monkeypatch, value):
    """For a variable that is empty, too: `/x` would be another place."""
    monkeypatch.delenv("OTHER", raising=False)
    if value is not None:
        monkeypatch.setenv("OTHER", value)
    text = "${OTHER:-/default}/x"
    shell = subprocess.run(["sh", "-c", f'printf %s "{text}"'], capture_output=True, text=True, check=True)
    assert str(expand_path(text)) == shell.stdout
    if not value:
        with pytest.raises(InputError, match="needs the environment variable OTHER"):
            expand_path("$OTHER/x")


def _study() -> dict:
    return {
        "title": "t",
        "dataset": "voc2012",
        "recipe": "dfp",
        "model": {"backbone": "resnet50", "decoder": {"kind": "fcn", "num_convs": 0, "concat_input": False}},
    }


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"seeds": 1000000}, "6,000,000 trainings"),
        ({"extra_seeds": [{"where": {}, "seeds": 1000000}]}, "6,000,000 trainings"),
        ({"vary": {f"recipe.a{i}": [1, 2, 3, 4, 5] for i in range(14)}}, "36,621,093,750 rows"),
    ],
)
def test_more_trainings_than_the_limit_are_refused_at_once(change, count):
    with pytest.raises(InputError) as error:
        experiments({"select": ["dfp"], "studies": {"dfp": change}})
    assert count in str(error.value) and "studies.dfp" in str(error.value)
    assert "raise max_trainings" in str(error.value)


def test_the_limit_counts_all_studies_and_a_key_raises_it():
    with pytest.raises(InputError, match="with those before"):
        experiments({"max_trainings": 40})
    assert len(experiments({"select": ["dfp"], "max_trainings": 30}).runs) == 30


@pytest.mark.parametrize("axis", ["x$(touch PWNED)", "pyramid depth", "/../../x", "a\nb", "it's", "ä"])
def test_names_of_axes_are_safe_in_paths_and_shells(axis):
    vary = {axis: {"a": {"model.pyramid.depth": 1}, "b": {"model.pyramid.depth": 2}}}
    mine = {**study("dfp"), "vary": vary, "tables": [], "figures": []}
    mine.pop("baseline")
    found = experiments({"select": ["mine"], "studies": {"mine": mine}})
    for name in [*found.runs, *found.architectures, *found.scorings]:
        assert re.fullmatch(r"mine/[A-Za-z0-9._-]+(/seed-\d+)?", name), name


def study(key: str) -> dict:
    """A study as `params.yaml` has it."""
    return dict(read_yaml("params.yaml")["studies"][key])
