"""Components of a user's own, in a folder outside the package and named in `params.yaml`."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pipeline_src.components import load, use_outside
from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Run
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.resolve import model_components
from pipeline_src.errors import InputError
from pipeline_src.evaluation.divergence import NotFinite, finite_heads
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.models.fusion.scale_equalizer import named_concatenations
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.profiling.describe_detector import describe_detector
from pipeline_src.profiling.describe_segmentor import describe_segmentor

FOLDER = "tests/outside"
COMPONENTS = {
    "decoder.unet": f"{FOLDER}/unet.py:UNetHead",
    "pyramid.above": f"{FOLDER}/above.py:Above",
    "backbone.regnet": f"{FOLDER}/regnet.py:RegNetPyramid",
    "detector.weighted": f"{FOLDER}/weighted.py:WeightedRCNN",
}
SMALL = {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}
REGNET = {"timm": "regnetx_002", "family": "regnet", "weights": "none"}


def run_of(model: dict[str, Any], components: dict[str, Any] | None = None, **study: Any) -> tuple[Run, Any]:
    """The only run of a study with this model, and its parameters."""
    one = {"title": "one", "dataset": "voc2012", "recipe": "dfp", "model": model, **study}
    tree = {
        "components": COMPONENTS if components is None else components,
        "backbones": {"own": REGNET},
        "studies": {"one": one},
        "select": ["one"],
        "seeds": 1,
    }
    params = load_params(overlays=[Layer("my.yaml", tree)], scale="paper")
    (run,) = expand(params).runs.values()
    return run, params


MODEL = {
    "backbone": "own",
    "pyramid": {"kind": "above"},
    "decoder": {"kind": "unet"},
    "equalizer": {"form": "folded"},
}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"decoder": {"kind": "psp"}, "merge": {"kind": "deepfuse"}},
            "decoder psp merges no two maps; use null here, or decoder uper or summing",
        ),
        (
            {"decoder": {"kind": "fcn", "concat_input": False}, "equalizer": {"form": "folded"}},
            "use null here, or a decoder that concatenates, such as fcn, psp, aspp, sep_aspp, uper or unet",
        ),
    ],
)
def test_a_refusal_names_every_component_that_would_do(
    model: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """The user's own included; one whose code is broken is left out."""
    own = tmp_path / "own.py"
    own.write_text(
        "from pipeline_src.models.decoders.uper import UPerHead\n"
        "class Summing(UPerHead):\n"
        "    concatenations = staticmethod(lambda options: [])\n"
        "class Broken(UPerHead):\n"
        "    merge_places = concatenations = staticmethod(lambda options: 1 / 0)\n"
    )
    components = {
        **COMPONENTS,
        "decoder.summing": f"{own}:Summing",
        "decoder.broken": f"{own}:Broken",
    }
    with pytest.raises(InputError) as caught:
        run_of({"backbone": "resnet50", **model}, components)
    assert str(caught.value).endswith(message)


def test_all_of_them_together_can_be_equalised_and_costed() -> None:
    run, params = run_of(MODEL)
    assert run.model["decoder"] == {"kind": "unet", "channels": 8}
    assert run.model["equalizer"]["concatenations"] == [
        ["pyramid.concats.2", "pyramid.concats.3", "pyramid.concats.4"],
        ["decoder.concats.4"],
        ["decoder.concats.3"],
        ["decoder.concats.2"],
    ]
    use_outside(params.spelled(model_components(run.model)))
    network = build_segmentor(run.model)
    names = [name for level in run.model["equalizer"]["concatenations"] for name in level]
    assert set(named_concatenations(network)) == set(names)
    assert network.eval()(torch.randn(1, 3, 64, 96)).shape == (1, 21, 64, 96)
    cost = describe_segmentor({**run.model, "equalizer": None}, (64, 96))
    assert cost["channels"] == [24 + 8, 56 + 8, 152 + 8, 368]
    assert cost["parts"]["pyramid"]["parameters"] > 0
    # what reads a concatenation is known, so that its scales can be folded
    assert all(concat.consumers for concat in named_concatenations(network).values())


def test_a_pyramid_that_adds_nothing_is_left_out() -> None:
    run, _ = run_of({**MODEL, "pyramid": {"kind": "above", "copies": False}})
    assert run.model["pyramid"] is None


def test_a_detector_is_frozen_and_trains() -> None:
    detector = {"kind": "weighted", "fpn_channels": 8, "roi": {"channels": 8}, "box_weight": 3.0}
    model = {"backbone": "own", "detector": detector}
    run, params = run_of(model, dataset="coco", recipe="ipg_coco")
    use_outside(params.spelled(model_components(run.model)))
    network = build_detector(run.model).train()
    assert not any(one.requires_grad for one in network.backbone.pyramid.net.s1.parameters())
    assert any(one.requires_grad for one in network.backbone.pyramid.net.s2.parameters())
    target = {"boxes": torch.tensor([[4.0, 4.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
    assert "loss_box_reg" in network([torch.randn(3, 64, 64)], [target])


def test_a_detector_of_nobodys_parts_is_costed_and_watched() -> None:
    components = {**COMPONENTS, "detector.centres": f"{FOLDER}/centres.py:Centres"}
    options = {"kind": "centres", "fpn_channels": 8, "frozen_norm": False, "frozen_stages": None}
    model = {"backbone": "own", "detector": options}
    run, params = run_of(model, components, dataset="coco", recipe="ipg_coco")
    use_outside(params.spelled(model_components(run.model)))
    counted = describe_detector(run.model, (64, 96))
    assert list(counted["parts"]) == ["backbone", "neck", "cells"]
    assert counted["parts"]["cells"]["flops"] == 2 * 8 * (81 + 2) * (64 // 4) * (96 // 4)
    detector = build_detector(run.model).eval()
    detector.cells.weight.data.fill_(float("nan"))
    with finite_heads(detector), pytest.raises(NotFinite, match="an output of cells is not finite"):
        detector([torch.zeros(3, 64, 96)])


def test_jobs_name_the_files_and_follow_them() -> None:
    _, params = run_of(MODEL)
    plan = GraphBuilder(params).build()
    (job,) = plan.of("train")
    assert f"decoder.unet={FOLDER}/unet.py:UNetHead" in job.components
    assert {f"{FOLDER}/{name}.py" for name in ("unet", "widths", "above", "regnet")} <= set(
        job.code["modules"]
    )
    (manifest,) = plan.of("manifest")
    assert not any(path.startswith(FOLDER) for path in manifest.code["modules"])


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ({"decoder.mine": "gone.py:Head"}, "components.decoder.mine: gone.py: no such file"),
        (
            {"decoder.mine": f"{FOLDER}/unet.py:UNet"},
            f"components.decoder.mine: {FOLDER}/unet.py has no UNet; it has ",
        ),
        (
            {"decoder.mine": f"{FOLDER}/regnet.py:RegNetPyramid"},
            f"components.decoder.mine: {FOLDER}/regnet.py: RegNetPyramid must inherit from DecodeHead",
        ),
        (
            {"decoder.uper": f"{FOLDER}/unet.py:UNetHead"},
            "components.decoder.uper: decoder.uper is there already",
        ),
        (
            {"head.mine": f"{FOLDER}/unet.py:UNetHead"},
            "'head' is no kind of component; use backbone, pyramid",
        ),
        (
            {"decoder": f"{FOLDER}/unet.py:UNetHead"},
            "components.decoder: is no name of a component; use a kind",
        ),
        ({"decoder.mine": "my.module:Head"}, "components.decoder.mine: 'my.module:Head' is not allowed"),
        ({"decoder.mine": f"{FOLDER}/unet.py"}, "is not allowed; use file.py:Name"),
        ({"decoder.mine": 3}, "components.decoder.mine: 3 is not allowed; use text"),
    ],
)
def test_wrong_entries_are_refused_in_one_line(components: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        run_of({"backbone": "resnet50", "decoder": {"kind": "fcn"}}, components)
    assert str(caught.value).startswith("my.yaml: components")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "class Mine(DecodeHead):\n    pass\n",
            "Mine lacks __init__, which every DecodeHead has: Build the ",
        ),
        (
            "class Mine(UPerHead):\n    Options = None\n",
            "Mine lacks Options, a frozen dataclass of its options",
        ),
        (
            "class Mine(UPerHead):\n    @staticmethod\n    def needed_levels(options):\n        return 5\n",
            "mine.py: Mine.needed_levels gave 5; it must give list[int], not empty: Levels that the head",
        ),
        ("import importlib\nclass Mine(UPerHead):\n    pass\n", "dynamic import (importlib)"),
    ],
)
def test_a_broken_contract_is_one_line_in_planning(tmp_path: Path, body: str, expected: str) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom pipeline_src.models.decoders.head import DecodeHead\n"
        f"from pipeline_src.models.decoders.uper import UPerHead\n{body}"
    )
    components = {**COMPONENTS, "decoder.mine": f"{tmp_path / 'mine.py'}:Mine"}
    with pytest.raises(InputError) as caught:
        run_of({"backbone": "resnet50", "decoder": {"kind": "mine"}}, components)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_beside_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "blocks.py").write_text("WIDTH = 8\n")
    (tmp_path / "mine.py").write_text("from parts.blocks import WIDTH\n")
    message = r"mine\.py: imports the folder parts beside it; use files beside it, not folders"
    with pytest.raises(InputError, match=message):
        run_of(
            {"backbone": "resnet50", "decoder": {"kind": "mine"}}, {"decoder.mine": f"{tmp_path}/mine.py:A"}
        )


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    kinds = {}
    for folder, width in (("one", 8), ("other", 16)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shared_width.py").write_text(f"WIDTH = {width}\n")
        (tmp_path / folder / "part.py").write_text("from shared_width import WIDTH as FOUND\n")
        kinds[f"decoder.{folder}"] = f"{tmp_path}/{folder}/part.py:FOUND"
    use_outside(f"{kind}={target}" for kind, target in kinds.items())
    assert [load(kind) for kind in kinds] == [8, 16]


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(InputError, match=r"backbones\.own\.family: 'regnet' is not there; use resnet"):
        run_of({"backbone": "own", "decoder": {"kind": "fcn"}}, {})


def test_the_example_of_the_documentation_builds(tmp_path: Path) -> None:
    text = Path("docs/own-ideas.md").read_text()
    file = tmp_path / "top_down.py"
    file.write_text(text.split("```python\n")[1].split("```")[0])
    overlay = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    base = {"backbone": "resnet50", "decoder": {"kind": "fcn"}}
    study = {
        "title": "mine",
        "dataset": "voc2012",
        "recipe": "dfp",
        "model": base,
        **overlay["studies"]["mine"],
    }
    tree = {
        "components": {"decoder.two_levels": f"{file}:TwoLevelHead"},
        "studies": {"mine": study},
        "select": ["mine"],
        "seeds": 1,
    }
    params = load_params(overlays=[Layer("my.yaml", tree)], scale="paper")
    plain, equalised = expand(params).runs.values()
    assert plain.model["decoder"] == {"kind": "two_levels", "channels": 64}
    assert equalised.model["equalizer"]["concatenations"] == [["decoder.concat"]]
    use_outside(params.spelled(model_components(plain.model)))
    network = build_segmentor({**plain.model, "backbone": {**plain.model["backbone"], "args": SMALL}}).eval()
    assert network(torch.randn(1, 3, 64, 96)).shape == (1, 21, 64, 96)
