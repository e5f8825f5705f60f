"""Parameters: layers, scales, and one clear line for everything that can be wrong."""

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer, merge
from pipeline_src.errors import InputError

SWIN = "swin_tiny_patch4_window7_224.ms_in1k"


def refusal(tree: dict, scale: str | None = "paper") -> str:
    with pytest.raises(InputError) as caught:
        expand(load_params(overlays=[Layer("my.yaml", tree)], scale=scale))
    return str(caught.value)


@pytest.mark.parametrize("scale", ["demo", "smoke", "lite", "paper"])
def test_committed_parameters_are_valid_at_every_scale(scale):
    params = load_params(scale=scale)
    assert params.scale == scale
    assert expand(params).runs


def test_overlay_wins_over_scale_and_scale_over_base():
    assert load_params(scale="paper").recipes["dfp"].epochs == 30
    assert load_params(scale="smoke").recipes["dfp"].epochs == 2
    overlay = [Layer("my.yaml", {"recipes": {"dfp": {"epochs": 7}}})]
    assert load_params(overlays=overlay, scale="smoke").recipes["dfp"].epochs == 7
    assert load_params(overlays=overlay, scale="smoke").recipes["dfp"].batch == 3


def test_overlay_can_bring_a_scale_of_its_own():
    tree = {"scale": "mine", "scales": {"mine": {"seeds": 4}}}
    params = load_params(overlays=[Layer("my.yaml", tree)])
    assert (params.scale, params.seeds, params.comparable) == ("mine", 4, False)


def test_merge_replaces_lists_and_other_kinds_and_keeps_its_arguments():
    base = {"a": {"x": 1, "y": [1, 2]}, "o": {"kind": "sgd", "momentum": 0.9}}
    over = {"a": {"y": [3]}, "o": {"kind": "adamw", "lr": 1.0}}
    assert merge(base, over) == {"a": {"x": 1, "y": [3]}, "o": {"kind": "adamw", "lr": 1.0}}
    assert base["a"]["y"] == [1, 2]
    assert merge(base, {"o": {"kind": "sgd", "lr": 2.0}})["o"] == {"kind": "sgd", "momentum": 0.9, "lr": 2.0}


@pytest.mark.parametrize("key", ["kind", "format", "timm"])
def test_what_names_another_thing_takes_nothing_from_the_one_below(key):
    base = {"entry": {key: "one", "args": {"layers": 3}}}
    assert merge(base, {"entry": {key: "other"}}) == {"entry": {key: "other"}}
    assert merge(base, {"entry": {key: "one", "args": {"width": 8}}}) == {
        "entry": {key: "one", "args": {"layers": 3, "width": 8}}
    }


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"studys": {}}, "my.yaml: studys: unknown key (did you mean 'studies'?)"),
        (
            {"recipes": {"dfp": {"batch": "3"}}},
            "my.yaml: recipes.dfp.batch: '3' is not allowed; use an integer",
        ),
        (
            {"recipes": {"dfp": {"batch": 0}}},
            "my.yaml: recipes.dfp.batch: 0 is not allowed; use an integer above 0",
        ),
        ({"recipes": {"dfp": {"epochs": True}}}, "my.yaml: recipes.dfp.epochs: True is not allowed"),
        (
            {"recipes": {"dfp": {"augment": {"crop": [512]}}}},
            "crop: [512] is not allowed; use a list of 2 values",
        ),
        (
            {"recipes": {"dfp": {"iterations": 9}}},
            "my.yaml: recipes.dfp: set exactly one of epochs, iterations",
        ),
        (
            {"recipes": {"dfp": {"optimizer": {"kind": "adam"}}}},
            "my.yaml: recipes.dfp.optimizer.kind: 'adam' is not allowed; use sgd or adamw",
        ),
        (
            {"studies": {"dfp": {"vary": {"model.pyramid.depth": [7]}}}},
            "my.yaml: studies.dfp.vary.model.pyramid.depth: 7 is not allowed; use an integer from 0 to 5",
        ),
        (
            {"studies": {"dfp": {"model": {"pyramid": {"depth": -1}}}}},
            "my.yaml: studies.dfp.model.pyramid.depth: -1 is not allowed; use an integer from 0 to 5",
        ),
        (
            {"studies": {"dfp": {"vary": {"model.pyramid.depht": [1]}}}},
            "my.yaml: studies.dfp.vary.model.pyramid.depht: unknown key (did you mean 'depth'?)",
        ),
        ({"studies": {"dfp": {"vary": {"modl.x": [1]}}}}, "studies.dfp.vary.modl.x: there is no such key"),
        (
            {"studies": {"dfp": {"extra_seeds": [{"where": {"model.pyramid.depht": 2}, "seeds": 2}]}}},
            "my.yaml: studies.dfp.extra_seeds[0].where.model.pyramid.depht: is not an axis of `vary`",
        ),
        (
            {"studies": {"dfp": {"model": {"decoder": {"concat_input": True}}}}},
            "my.yaml: studies.dfp.model.decoder: concat_input needs num_convs above 0",
        ),
        (
            {"studies": {"dfp": {"model": {"decoder": {"num_convs": 2, "channels": 0}}}}},
            "my.yaml: studies.dfp.model.decoder: 2 convolutions need channels above 0",
        ),
        (
            {"recipes": {"dfp": {"freeze_bn_at_epoch": 30}}},
            "my.yaml: recipes.dfp: freeze_bn_at_epoch 30 never comes: the last epoch is 29",
        ),
        (
            {"recipes": {"dfp": {"augment": {"resize": {"ratio": [2.0, 0.5]}}}}},
            "my.yaml: recipes.dfp.augment.resize: ratio [2.0, 0.5]: the smallest comes first",
        ),
        (
            {"datasets": {"voc2012": {"ignore_index": 3}}},
            "my.yaml: datasets.voc2012.ignore_index: 3 is the id of class 'bird'; use one from 21 to 255",
        ),
        (
            {"datasets": {"voc2012": {"classes": ["a", "b", "a"]}}},
            "my.yaml: datasets.voc2012.classes: 'a' stands twice",
        ),
        (
            {"studies": {"dfp": {"recipe": "dpf"}}},
            "my.yaml: studies.dfp.recipe: 'dpf' is not in recipes (did you",
        ),
        ({"studies": {"dfp": {"baseline": {"model.pyramid.depth": 9}}}}, "studies.dfp.baseline: no row has"),
        (
            {"backbones": {"resnet50": {"timm": "resnet50"}}},
            "my.yaml: backbones.resnet50.timm: backbone 'resnet50'",
        ),
        ({"backbones": {"resnet50": {"timm": "resnet50.tv_in9k"}}}, "is not a known weight tag"),
        (
            {"backbones": {"resnet50": {"weights": "imagenet"}}},
            "my.yaml: backbones.resnet50.weights: 'imagenet' is not allowed; use pretrained or none or",
        ),
        ({"backbones": {"resnet50": {"timm": SWIN, "output_stride": 8}}}, "output_stride: 8 is not allowed"),
        (
            {"backbones": {"resnet50": {"timm": "convnext_tiny.fb_in1k"}}},
            "a stem that strides by 4 cannot be split",
        ),
        (
            {"datasets": {"voc2012": {"splits": {"train": {"set": "trainaug"}}}}},
            "datasets.voc2012.source.names: trainaug takes its masks from SBD; add sbd",
        ),
        (
            {"datasets": {"voc2012": {"format": "ade"}}},
            "my.yaml: datasets.voc2012.format: 'ade' is not allowed",
        ),
        ({"select": ["dpf"]}, "my.yaml: select: 'dpf' is not in studies (did you mean 'dfp'?)"),
        ({"scales": {"demo": {"seed": 3}}}, "my.yaml: scales.demo.seed: unknown key (did you mean 'seeds'?)"),
        (
            {"recipes": {"dfp": {"optimizer": {"nesterov": True, "momentum": 0.0}}}},
            "my.yaml: recipes.dfp.optimizer: nesterov true needs a momentum above 0",
        ),
        ({"verdicts": {"confidence": 1.0}}, "my.yaml: verdicts.confidence: 1.0 is not allowed; use a number"),
        ({"verdicts": {"confidence": 0.0}}, "my.yaml: verdicts.confidence: 0.0 is not allowed; use a number"),
        (
            {"recipes": {"dfp": {"schedule": {"kind": "step", "milestones": [7, 3]}}}},
            "my.yaml: recipes.dfp.schedule: milestones [7, 3]: each comes after the one before; use [3, 7]",
        ),
        (
            {"recipes": {"dfp": {"schedule": {"kind": "step", "milestones": [3, 3]}}}},
            "my.yaml: recipes.dfp.schedule: milestones [3, 3]: each comes after the one before; use [3]",
        ),
        (
            {"recipes": {"dfp": {"schedule": {"kind": "step", "milestones": [3], "gamma": 10}}}},
            "my.yaml: recipes.dfp.schedule.gamma: 10 is not allowed; use a number",
        ),
        (
            {"recipes": {"dfp": {"schedule": {"kind": "step", "milestones": [3, 30]}}}},
            "my.yaml: recipes.dfp.schedule.milestones: 30 never comes; use epochs below 30",
        ),
        (
            {
                "recipes": {
                    "dfp": {
                        "schedule": {"kind": "step", "milestones": [9], "unit": "iteration"},
                        "iterations": 9,
                        "epochs": None,
                        "freeze_bn_at_epoch": None,
                    }
                }
            },
            "my.yaml: recipes.dfp.schedule.milestones: 9 never comes; use iterations below 9",
        ),
        (
            {"recipes": {"dfp": {"schedule": {"kind": "poly", "min_lr": 1.0}}}},
            "my.yaml: recipes.dfp: schedule.min_lr 1 is above optimizer.lr 0.0005; use at most 0.0005",
        ),
        (
            {"recipes": {"dfp": {"validate_every": {"epochs": 31}}}},
            "my.yaml: recipes.dfp.validate_every.epochs: 31 is beyond the end; use at most 30",
        ),
        (
            {"recipes": {"uper_swin": {"validate_every": {"iterations": 160001}}}},
            "recipes.uper_swin.validate_every.iterations: 160001 is beyond the end; use at most 160000",
        ),
        (
            {"recipes": {"uper_swin": {"log_every": 160001}}},
            "my.yaml: recipes.uper_swin: log_every 160001 is beyond the end; use at most 160000",
        ),
        ({"select": []}, "my.yaml: select: [] names no study; use all or a list of dfp,"),
        (
            {"studies": {"dfp": {"extra_seeds": [{"where": {"model.pyramid.depth": 77}, "seeds": 2}]}}},
            "my.yaml: studies.dfp.extra_seeds[0].where.model.pyramid.depth: no row has 77; use 5, 4, 3",
        ),
        (
            {
                "studies": {
                    "dfp": {"vary": {"rate": {"low": {"recipe.batch": 3}, "same": {"recipe.batch": 3}}}}
                }
            },
            "my.yaml: studies.dfp.vary.rate.same: says the same as 'low'; use other values",
        ),
        ({"scales": {"demo": {"scale": "x"}}}, "my.yaml: scales.demo.scale: a scale cannot set scale"),
    ],
)
def test_a_wrong_value_is_one_line_with_file_key_and_what_is_allowed(tree, expected):
    message = refusal(tree)
    assert expected in message
    assert "\n" not in message


def test_unknown_scale_lists_the_scales():
    assert refusal({"scale": "papr"}, scale=None) == (
        "my.yaml: scale: 'papr' is not a scale (did you mean 'paper'?); use demo, smoke, lite or paper"
    )


@pytest.mark.parametrize("scale", [["demo"], {"demo": 1}, 3, None])
def test_a_scale_that_is_no_name_is_refused(scale):
    with pytest.raises(InputError, match=r"my.yaml: scale: .* is not a scale.*; use "):
        load_params(overlays=[Layer("my.yaml", {"scale": scale})])


@pytest.mark.parametrize("scales", ["", "scales:\n", "scales: {}\n"])
def test_a_file_without_scales_is_refused(tmp_path, scales):
    path = tmp_path / "params.yaml"
    path.write_text(f"seeds: 1\n{scales}")
    with pytest.raises(InputError, match="scales: is missing or empty"):
        load_params(path)


def test_weights_file_errors_name_its_own_keys():
    weights = {"file": "x", "sha256": "12", "source": "s", "mean": [0.5] * 3, "std": [0.5] * 3}
    message = refusal({"backbones": {"resnet50": {"weights": weights}}})
    assert message.startswith("my.yaml: backbones.resnet50.weights.sha256: '12' is not allowed")


def test_weights_file_refuses_a_deviation_of_0():
    weights = {"file": "x", "sha256": "0" * 64, "source": "s", "mean": [0.5] * 3, "std": [0.5, 0.0, 0.5]}
    message = refusal({"backbones": {"resnet50": {"weights": weights}}})
    assert message == ("my.yaml: backbones.resnet50.weights.std[1]: 0.0 is not allowed; use a number above 0")


def test_error_in_a_scale_block_names_the_block():
    message = refusal({"scales": {"paper": {"seeds": 0}}})
    assert message.startswith("my.yaml: scales.paper.seeds: 0 is not allowed")


def test_validation_imports_neither_torch_nor_timm(run_python):
    done = run_python(
        "import sys; from pipeline_src.planning.summary_jobs import plan_everything;"
        "from pipeline_src.config.load import load_params; plan_everything(load_params(scale='paper'));"
        "print([m for m in ('torch', 'timm', 'torchvision', 'pandas') if m in sys.modules])"
    )
    assert done.strip() == "[]"


@pytest.mark.parametrize(
    ("section", "key", "said"),
    [
        ({"args": {"drop_path_rat": 0}}, "args.drop_path_rat", r" \(did you mean 'drop_path_rate'\?\); it "),
        ({"args": {"a b": 1}}, r"args.a b", "; it takes"),
        (
            {
                "timm": "resnet50",
                "weights": {
                    "file": "w.safetensors", "sha256": "0" * 64, "source": "s",
                    "mean": [0, 0, 0], "std": [1, 1, 1],
                    "model_args": {"out_norm": True},
                },
            },
            "weights.model_args.out_norm",
            "; it takes",
        ),
    ],
)  # fmt: skip
def test_an_argument_that_timm_does_not_take_is_named(section, key, said):
    layer = Layer("my.yaml", {"backbones": {"resnet50": section}})
    with pytest.raises(
        InputError, match=rf"my.yaml.*backbones.resnet50.{key}: is no argument of resnet50[^ ]*{said}"
    ):
        expand(load_params(overlays=[layer], scale="paper"))


def test_a_wrong_name_of_a_scale_is_looked_for_in_the_file_that_has_it():
    overlay = Layer("mine.yaml", {"scale": "my run", "scales": {"my run": {}}})
    with pytest.raises(InputError, match=r"^mine\.yaml: scale: 'my run' is not allowed"):
        load_params(overlays=[overlay])


def test_a_start_elsewhere_says_where_to_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"holds no params\.yaml; start in the root of the checkout: cd /"):
        load_params()
