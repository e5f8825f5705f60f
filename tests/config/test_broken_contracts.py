"""What planning asks of a user's own component and does not get is one line that names it and the cure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from pipeline_src.config.component_contracts import fits
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.options import Bounds
from pipeline_src.planning.summary_jobs import plan_everything

IMPORTS = """
from dataclasses import dataclass, fields

import torch
from matplotlib.figure import Figure

from pipeline_src.data.readers.mask_folders import MasksReader
from pipeline_src.models.backbones.resnet import ResNetPyramid
from pipeline_src.models.backbones.table import BackboneArchitecture, lookup
from pipeline_src.models.decoders.uper import UPerHead
from pipeline_src.models.detectors.faster_rcnn import FasterRCNN
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.deepfuse import DeepFuse
from pipeline_src.models.fusion.dfp import DeepFeaturePyramid
from pipeline_src.options import option
from pipeline_src.reporting.figures.figure_kind import FigureKind
from pipeline_src.reporting.metric import Metric, Source

"""
BASES = {
    "decoder": "UPerHead", "pyramid": "DeepFeaturePyramid", "merge": "DeepFuse", "detector": "FasterRCNN",
    "backbone": "ResNetPyramid", "reader": "MasksReader", "figure": "FigureKind", "metric": None,
}  # fmt: skip
DRAWS = "    @staticmethod\n    def draw(params, options, inputs):\n        pass\n"
BACKBONE = {"timm": "resnet50", "family": "mine", "weights": "none"}
EQUALIZED = {"equalizer": {"form": "folded"}}


def plan_with(folder: Path, family: str, text: str) -> None:
    """Plan a study that uses the component `<family>.mine`, whose file says `text`."""
    (folder / "mine.py").write_text(text)
    own: dict[str, Any] = {"kind": "mine"} | ({"depth": 2} if family == "pyramid" else {})
    detector = family == "detector"
    head = {"detector": own} if detector else {"decoder": own if family == "decoder" else {"kind": "uper"}}
    model: dict[str, Any] = {"backbone": "mine" if family == "backbone" else "resnet50", **head}
    if family in ("pyramid", "merge"):
        model[family] = own
    if detector:
        model["merge"] = {"kind": "deepfuse"}
    if family in ("decoder", "pyramid", "merge"):
        model |= EQUALIZED
    study: dict[str, Any] = {"title": "one", "recipe": "ipg_coco" if detector else "dfp", "model": model}
    study["dataset"] = {"detector": "coco", "reader": "mine"}.get(family, "voc2012")
    if family == "figure":
        study["figures"] = [{"kind": "mine", "subject": "mine", "title": "mine"}]
    tree: dict[str, Any] = {
        "components": {f"{family}.mine": f"{folder}/mine.py:Mine"},
        "studies": {"one": study},
        "select": ["one"],
    }
    if family == "backbone":
        tree["backbones"] = {"mine": BACKBONE}
    if family == "reader":
        source = {"kind": "folder", "root": str(folder)}
        splits = {name: {"images": name, "masks": name} for name in ("train", "val")}
        tree["datasets"] = {
            "mine": {"format": "mine", "source": source, "splits": splits, "classes": ["no", "yes"]}
        }
    plan_everything(load_params(overlays=[Layer("my.yaml", tree)], scale="paper"))


def refusal(folder: Path, family: str, text: str) -> str:
    with pytest.raises(InputError) as caught:
        plan_with(folder, family, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def method(name: str, value: str, kind: str = "staticmethod") -> str:
    return f"    @{kind}\n    def {name}(*given):\n        {value}\n"


@pytest.mark.parametrize(
    ("family", "name", "body", "said"),
    [
        ("decoder", "needed_levels", "return []", r"gave \[\]; it must give list\[int\], not empty: Levels"),
        ("decoder", "needed_levels", "return torch.ones(2)", r"gave <torch\.ones\(\), which planning does n"),
        ("decoder", "needed_levels", "return {}['x']", r"raised KeyError: 'x' \(line \d+\); it must give"),
        ("decoder", "concatenations", "return None", r"gave None; it must give list\[Concatenation\]: Its "),
        ("decoder", "concatenations", "return ['fusion']", r"gave \['fusion'\]; it must give list\[Conca"),
        ("decoder", "concatenations", "return [Concatenation('a', 'b')]", r"gave \[Concatenation\(name='a'"),
        ("merge", "concatenations", "return 3", r"gave 3; it must give list\[Concatenation\]"),
        ("merge", "resolve", "return [1]", r"gave \[1\]; it must give dict\[str, Any\] \| None: The options"),
        ("pyramid", "resolve", "return {'a': torch}", r"gave \{'a': <torch, .*; it must give dict\[str, Any"),
        ("pyramid", "resolve", "return {'a': 1}", r"gave: unknown key 'a'; it has "),
        ("pyramid", "available_levels", "return None", r"gave None; it must give list\[int\], not empty"),
        ("pyramid", "available_levels", "return range(2, 6)", r"gave range\(2, 6\); it must give list\[int"),
        ("pyramid", "concatenations", "return {'a': 1}", r"gave \{'a': 1\}; it must give list\[Concat"),
        ("detector", "merge_places", "return 5", r"gave 5; it must give list\[MergePlace\]"),
        ("detector", "check", "return False", r"gave False; it must give None: Refuse options"),
        ("detector", "check", "1 / 0", r"raised ZeroDivisionError: division by zero \(line \d+\)"),
        (
            "backbone",
            "facts",
            "return {}",
            r"gave \{\}; it must give BackboneArchitecture: What planning has to kn",
        ),
        ("figure", "metrics", "return 'miou'", r"gave 'miou'; it must give list\[str\]: Names of the metr"),
        ("reader", "classes", "return 'yes'", r"gave 'yes'; it must give list\[str\], not empty: Class na"),
        ("reader", "labels", "return []", r"gave \[\]; it must give dict\[str, Any\]: Parameters of the ma"),
        ("reader", "check", "pass", r"gave None; it must give Iterator\[tuple\[list\[str\], str\]\]: What"),
        ("reader", "check", "yield 'wrong'", r"gave \['wrong'\]; it must give Iterator\[tuple\[list\[str\]"),
        ("reader", "spec", "return None", r"gave None; it must give dict\[str, Any\]: What `read` is told"),
        ("reader", "sources", "return 'masks'", r"gave 'masks'; it must give Sequence\[str\]: The folders"),
        ("reader", "root", "return given[-1]", r"gave \[.*; it must give Path: The folder"),
    ],
)
def test_a_method_that_gives_something_else_is_named(
    tmp_path: Path, family: str, name: str, body: str, said: str
) -> None:
    parts = DRAWS if family == "figure" else ""
    text = f"{IMPORTS}class Mine({BASES[family]}):\n{method(name, body)}{parts}"
    found = refusal(tmp_path, family, text)
    place = re.escape(f"components.{family}.mine: {tmp_path}/mine.py:")
    assert re.search(rf"{place} ?Mine\.{name} {said}", found), found


@pytest.mark.parametrize(
    ("family", "body", "said"),
    [
        (
            "decoder",
            "needed_levels = [2, 3]",
            r"Mine\.needed_levels is \[2, 3\] and no method; it must give ",
        ),
        ("decoder", "Options = dict", r"Mine lacks Options, a frozen dataclass of its options"),
        ("decoder", "Auxiliary = 3", r"Mine lacks Auxiliary, a frozen dataclass of its options"),
        ("reader", "Split = None", r"Mine lacks Split, a frozen dataclass of its options"),
        ("reader", "source_kinds = ('disk',)", r"Mine\.source_kinds is \('disk',\); it must be tuple\[Lite"),
        ("reader", "names = 'yes'", r"Mine\.names is 'yes'; it must be tuple\[str, \.\.\.\]"),
        ("reader", "task = 'cooking'", r"Mine is for 'cooking'; a task is segmentation"),
        ("figure", "reads = 'experiments'", r"Mine\.reads is 'experiments'; it must be tuple\[str, \.\.\.\]"),
        (
            "backbone",
            "freezable = 4",
            r"Mine\.freezable is 4; it must be tuple\[tuple\[str, \.\.\.\], \.\.\.",
        ),
        ("backbone", "supports_output_stride = 'no'", r"Mine\.supports_output_stride is 'no'; it must be bo"),
    ],
)
def test_an_attribute_that_is_something_else_is_named(
    tmp_path: Path, family: str, body: str, said: str
) -> None:
    parts = DRAWS if family == "figure" else ""
    found = refusal(tmp_path, family, f"{IMPORTS}class Mine({BASES[family]}):\n    {body}\n{parts}")
    assert re.search(rf"components\.{family}\.mine: .*mine\.py: {said}", found), found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Mine = Metric('mine', 'mine', (), 'higher')", r"ValueError: metric mine has no sources"),
        (
            "Mine = Metric('mine', 'mine', ['a'], 'higher')",
            r"Metric\.sources is \['a'\]; it must be tuple\[Sou",
        ),
        (
            "Mine = Metric('mine', 'mine', (Source('a', 'weather'),), 'higher')",
            r"Metric\.sources is \(Source",
        ),
        (
            "Mine = Metric('mine', 'mine', (Source('a', 'log'),), 'best')",
            r"Metric\.better is 'best'; it must b",
        ),
        ("Mine = Metric", r"Metric is a class; name an instance"),
    ],
)
def test_a_metric_of_wrong_parts_is_named(tmp_path: Path, line: str, said: str) -> None:
    found = refusal(tmp_path, "metric", f"{IMPORTS}{line}\n")
    assert re.search(rf"components\.metric\.mine: .*mine\.py: .*{said}", found), found


def test_an_instance_in_place_of_a_class_is_named(tmp_path: Path) -> None:
    text = f"{IMPORTS}class Kind(FigureKind):\n{DRAWS}\nMine = Kind()\n"
    assert "mine.py: Kind is an instance; name its class" in refusal(tmp_path, "figure", text)


def test_options_that_no_file_can_hold_are_named(tmp_path: Path) -> None:
    text = (
        f"{IMPORTS}@dataclass(frozen=True)\nclass Wide:\n    width: Concatenate = option(1, 'Width.')\n\n"
        "class Mine(UPerHead):\n    Options = Wide\n"
    ).replace("Concatenate", "FigureKind")
    assert "Mine.Options cannot be a section of params.yaml: " in refusal(tmp_path, "decoder", text)


def test_options_that_fail_to_check_themselves_are_named(tmp_path: Path) -> None:
    text = (
        f"{IMPORTS}@dataclass(frozen=True)\nclass Wide:\n    width: int = option(1, 'Width.')\n\n"
        "    def __post_init__(self):\n        self.width.check()\n\n"
        "class Mine(UPerHead):\n    Options = Wide\n"
    )
    assert "Wide cannot take this: AttributeError: 'int' object has no" in refusal(tmp_path, "decoder", text)


def test_a_family_without_normalisation_is_named(tmp_path: Path) -> None:
    known = (
        "{one.name: getattr(lookup('resnet50.tv_in1k'), one.name) for one in fields(BackboneArchitecture)}"
    )
    text = (
        f"{IMPORTS}class Mine(ResNetPyramid):\n{method('facts', f'return BackboneArchitecture(**{known})')}"
    )
    said = "my.yaml: backbones.mine.family: mine knows no mean and std of resnet50; its facts() must give"
    assert said in refusal(tmp_path, "backbone", text)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("raise RuntimeError('no\\nlicence')", r"RuntimeError: no licence \(line 1\)"),
        ("import sys\nsys.exit('bye')", r"SystemExit: bye \(line 2\)"),
        ("import troch", r"ModuleNotFoundError: No module named 'troch' \(line 1\)"),
        ("from torhc import nn", r"ModuleNotFoundError: No module named 'torhc' \(line 1\)"),
        ("from math import sqroot", r"ImportError: cannot import name 'sqroot' from 'math'"),
        (
            "from pipeline_src.models.blocks import ConvBNRelu",
            r"cannot import name 'ConvBNRelu' from 'pipeline_src\.models\.blocks' \(did you mean "
            r"'ConvBNReLU'\?\) \(line 1\)",
        ),
        (
            "from pipeline_src.model.blocks import ConvBNReLU",
            r"imports pipeline_src\.model\.blocks, which does n",
        ),
        ("from pipeline_src.models import bloks", r"cannot import name 'bloks' from 'pipeline_src\.models'"),
        ("import pipeline_src.models.bloks", r"imports pipeline_src\.models\.bloks, which does not exist"),
        ("from beside import WIDHT", r"ImportError: cannot import name 'WIDHT' from"),
    ],
)
def test_an_import_that_fails_says_why(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "beside.py").write_text("WIDTH = 3\n")
    found = refusal(tmp_path, "decoder", f"{lines}\nclass Mine:\n    pass\n")
    assert found.startswith("my.yaml: components.decoder.mine: ")
    assert re.search(rf"mine\.py: .*{said}", found), found


def test_a_neighbour_that_fails_is_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import troch\n")
    found = refusal(tmp_path, "decoder", "import beside\nclass Mine:\n    pass\n")
    assert f"components.decoder.mine: {tmp_path}/beside.py: cannot be read" in found


def test_a_package_that_may_be_missing_can_be_tried(tmp_path: Path) -> None:
    text = (
        "try:\n    import troch\nexcept ImportError:\n    troch = None\nfrom pipeline_src.options import *\n"
    )
    plan_with(tmp_path, "decoder", f"{IMPORTS}{text}class Mine(UPerHead):\n    width: PositiveInt\n")


def test_an_error_of_the_users_own_words_is_kept(tmp_path: Path) -> None:
    body = method("resolve", "raise InputError('depth: 3 is odd')")
    text = f"{IMPORTS}from pipeline_src.errors import InputError\nclass Mine(DeepFeaturePyramid):\n{body}"
    found = refusal(tmp_path, "pyramid", text)
    assert found == "my.yaml: studies.one.model.pyramid.depth: 3 is odd"


@pytest.mark.parametrize(
    ("value", "annotation", "wanted"),
    [
        ([2, 3], list[int], True),
        ((2, 3), list[int], True),
        ([2, True], list[int], False),
        ("ab", Sequence[str], False),
        ([], Annotated[list[int], Bounds(min_length=1)], False),
        (3, Annotated[list[int], Bounds(min_length=1)], False),
        (3, float, True),
        (None, dict[str, Any] | None, True),
        ({"a": [1, {"b": None}]}, dict[str, Any], True),
        ({"a": Path()}, Mapping[str, Any], False),
        ({1: 1}, dict[str, Any], False),
        ({"a": {1: 1}}, dict[str, Any], False),
        ([(["a"], "b")], Iterator[tuple[list[str], str]], True),
        ([(["a"],)], Iterator[tuple[list[str], str]], False),
        (Concatenation("a", 0), Concatenation, True),
        (Concatenation("a", "b"), Concatenation, False),
        ("a", Literal["a", "b"], True),
        (["a"], Literal["a", "b"], False),
        (1, None, False),
    ],
)
def test_values_and_annotations(value: Any, annotation: Any, wanted: bool) -> None:
    assert fits(value, annotation) is wanted
