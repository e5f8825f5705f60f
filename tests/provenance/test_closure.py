"""Code identity: what changes it, what does not, and what is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_src.components import COMPONENTS
from pipeline_src.provenance.closure import (
    NO_RESULT,
    ROOT,
    ClosureError,
    _parse,
    _source,
    code_identity,
    component_table,
    explain_change,
)

STEPS = [
    "fetch",
    "extract",
    "scenes",
    "manifest",
    "weights",
    "train",
    "evaluate",
    "cost",
    "tabulate",
    "table",
    "figure",
    "report",
    "export_submission",
]


@pytest.fixture
def package(tmp_path):
    """A small package with a step, a helper, two components and the table."""
    files = {
        "pipeline_src/__init__.py": "",
        "pipeline_src/components.py": (
            "import importlib\n"
            'COMPONENTS = {"net.a": "pipeline_src.net_a:A", "net.b": "pipeline_src.net_b:B"}\n'
            "def load(kind):\n    return importlib.import_module(COMPONENTS[kind].split(':')[0])\n"
        ),
        "pipeline_src/net_a.py": "class A:\n    def forward(self, x):\n        return x + 1\n",
        "pipeline_src/net_b.py": "class B:\n    def forward(self, x):\n        return x + 2\n",
        "pipeline_src/helper.py": "import numpy\nLIMIT = 3\n\ndef help_me(x):\n    return x * LIMIT\n",
        "pipeline_src/step.py": (
            '"""A step."""\nfrom pipeline_src.components import load\n\n'
            "def main():\n    from pipeline_src.helper import help_me\n    return help_me(load('net.a'))\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def identity(root: Path, components=("net.a",)) -> dict:
    _parse.cache_clear()
    _source.cache_clear()
    return code_identity("pipeline_src.step", components, root)


def edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / "pipeline_src" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_closure_follows_imports_inside_functions_and_named_components(package):
    found = identity(package)
    assert set(found["modules"]) == {
        f"pipeline_src/{name}.py" for name in ("components", "net_a", "helper", "step")
    }
    assert found["packages"] == ["numpy"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("helper.py", "LIMIT = 3\n", "# a comment\nLIMIT = 3  # another\n"),
        ("helper.py", "return x * LIMIT", '"""Now documented."""\n    return x * LIMIT'),
        ("helper.py", "return x * LIMIT", "return (\n        x\n        * LIMIT\n    )"),
        ("step.py", '"""A step."""', '"""Another text."""'),
        ("net_b.py", "x + 2", "x + 20"),
        ("components.py", '"net.b": "pipeline_src.net_b:B"', '"net.c": "pipeline_src.net_c:C"'),
    ],
)
def test_what_cannot_change_a_result_does_not_change_the_identity(package, file, old, new):
    before = identity(package)["digest"]
    edit(package, file, old, new)
    assert identity(package)["digest"] == before


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("helper.py", "LIMIT = 3", "LIMIT = 4", "pipeline_src/helper.py: <module>"),
        ("helper.py", "x * LIMIT", "x + LIMIT", "pipeline_src/helper.py: help_me"),
        ("net_a.py", "x + 1", "x + 1.0", "pipeline_src/net_a.py: A.forward"),
        ("net_a.py", "class A:", "class A(object):", "pipeline_src/net_a.py: A"),
        ("components.py", "net_a:A", "net_a:A2", "pipeline_src/components.py: COMPONENTS[net.a]"),
        ("helper.py", "import numpy", "import numpy\nimport torch", "pipeline_src/helper.py: <module>"),
        ("helper.py", "def help_me", "def more():\n    pass\n\ndef help_me", "pipeline_src/helper.py: more"),
        ("helper.py", "def help_me(x):\n    return x * LIMIT\n", "", "pipeline_src/helper.py: help_me"),
        ("helper.py", "def help_me", "def help_you", "pipeline_src/helper.py: help_me, help_you"),
    ],
)
def test_what_can_change_a_result_is_named(package, file, old, new, named):
    before = identity(package)
    edit(package, file, old, new)
    after = identity(package)
    assert after["digest"] != before["digest"]
    assert explain_change(before, after) == [named]


def test_files_that_are_used_or_no_longer_used_are_named(package):
    before = identity(package)
    edit(package, "step.py", "from pipeline_src.helper import help_me", "from pipeline_src.net_b import B")
    assert explain_change(before, identity(package)) == [
        "pipeline_src/helper.py: no longer used",
        "pipeline_src/net_b.py: newly used",
        "pipeline_src/step.py: main",
    ]


def test_what_only_talks_is_not_followed(package):
    (package / "pipeline_src" / "errors.py").write_text("def refuse(text):\n    raise SystemExit(text)\n")
    edit(
        package,
        "step.py",
        "from pipeline_src.components",
        "from pipeline_src.errors import refuse\nfrom pipeline_src.components",
    )
    before = identity(package)
    assert "pipeline_src/errors.py" not in before["modules"] and "pipeline_src/helper.py" in before["modules"]
    edit(package, "errors.py", "raise SystemExit(text)", "raise SystemExit(f'error: {text}')")
    assert identity(package) == before


@pytest.mark.parametrize("module", NO_RESULT)
def test_what_is_not_followed_imports_nothing_that_computes(module):
    parsed = _parse(module, ROOT)
    assert parsed.imports <= NO_RESULT.keys()
    assert parsed.packages - sys.stdlib_module_names <= {"tqdm"}


def test_a_data_file_that_a_module_names_belongs_to_its_identity(package):
    (package / "pipeline_src/page.html").write_text("<p>")
    edit(package, "helper.py", "LIMIT = 3", 'PACKAGE_FILES = ("page.html",)\nLIMIT = 3')
    before = identity(package)
    (package / "pipeline_src/page.html").write_text("<p class=x>")
    after = identity(package)
    assert explain_change(before, after) == ["pipeline_src/helper.py: page.html"]


def test_imports_for_type_checking_are_not_reached(package):
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pipeline_src.net_b import B\nLIMIT = 3"
    )
    edit(package, "helper.py", "LIMIT = 3", text)
    assert "pipeline_src/net_b.py" not in identity(package)["modules"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import importlib", "dynamic import"),
        ("from importlib import import_module", "dynamic import"),
        ("import runpy", "dynamic import"),
        ("x = __import__('os')", "hides code"),
        ("x = eval('1')", "hides code"),
        ("exec('x = 1')", "hides code"),
        ("from .net_b import B", "relative import"),
        ("from pipeline_src.absent import x", "does not exist"),
    ],
)
def test_code_that_cannot_be_seen_is_refused(package, code, expected):
    edit(package, "helper.py", "LIMIT = 3", f"{code}\nLIMIT = 3")
    with pytest.raises(ClosureError, match=expected):
        identity(package)


def test_metadata_of_installed_packages_is_no_dynamic_import(package):
    edit(package, "helper.py", "import numpy", "from importlib import metadata")
    assert identity(package)


def test_a_package_file_with_code_is_refused(package):
    (package / "pipeline_src/sub").mkdir()
    (package / "pipeline_src/sub/__init__.py").write_text("X = 1\n")
    edit(package, "helper.py", "LIMIT = 3", "import pipeline_src.sub\nLIMIT = 3")
    with pytest.raises(ClosureError, match="package files hold no code"):
        identity(package)


def test_the_literal_table_is_the_one_that_is_imported():
    assert component_table() == COMPONENTS


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_an_identity(step):
    found = code_identity(f"pipeline_src.steps.{step}", COMPONENTS)
    assert f"pipeline_src/steps/{step}.py" in found["modules"]


@pytest.mark.parametrize("step", STEPS)
def test_no_step_reaches_the_configuration_the_planner_or_their_libraries(step):
    found = code_identity(f"pipeline_src.steps.{step}", COMPONENTS)
    assert not [
        path for path in found["modules"] if path.startswith(("pipeline_src/config", "pipeline_src/planning"))
    ]
    assert not {"pydantic", "snakemake", "dvc", "yaml"} & set(found["packages"])


def test_only_dfp_runs_reach_dfp():
    plain = code_identity("pipeline_src.steps.train", ["backbone.resnet", "decoder.fcn"])
    dfp = code_identity("pipeline_src.steps.train", ["backbone.resnet", "decoder.fcn", "pyramid.dfp"])
    assert "pipeline_src/models/fusion/dfp.py" not in plain["modules"]
    assert "pipeline_src/models/fusion/dfp.py" in dfp["modules"]


@pytest.mark.parametrize("task", ["segmentation", "detection", "instances"])
def test_how_a_folder_is_listed_is_a_matter_of_manifests_alone(task):
    listing = "pipeline_src/data/file_names.py"
    parts = [f"training.{task}", f"augment.{task}"]
    assert listing not in code_identity("pipeline_src.steps.train", parts)["modules"]
    assert listing in code_identity("pipeline_src.steps.manifest", ["reader.masks"])["modules"]


def test_modules_that_read_files_of_the_package_name_them(project):
    unnamed = []
    for path in (project / "pipeline_src").rglob("*.py"):
        text = path.read_text()
        if "__file__" in text and "PACKAGE_FILES" not in text and path.name != "closure.py":
            unnamed.append(str(path))
    # the planner reads the backbone table and hands its facts to jobs as parameters
    assert unnamed in ([], [str(project / "pipeline_src/models/backbones/table.py")])


def test_identity_is_the_same_for_every_python_version(project):
    code = (
        "from pipeline_src.provenance.closure import code_identity;"
        "print(code_identity('pipeline_src.steps.train', ['pyramid.dfp', 'backbone.swin'])['digest'])"
    )
    found = {}
    for name in ("python3.11", "python3.12", "python3.13"):
        if shutil.which(name) is None:
            continue
        environment = {**os.environ, "PYTHONPATH": str(project)}
        done = subprocess.run([name, "-c", code], capture_output=True, text=True, env=environment)
        if done.returncode == 0:
            found[name] = done.stdout
    assert len(set(found.values())) == 1


@pytest.mark.parametrize(
    ("step", "component", "without"),
    [
        ("train", "training.segmentation", {"data/detection/transform_options.py"}),
        (
            "train",
            "training.detection",
            {"data/segmentation/transform_options.py", "training/loss_options.py"},
        ),
        ("cost", "costs.detection", {"training/loss_options.py", "training/recipe.py"}),
        (
            "evaluate",
            "evaluation.segmentation",
            {"training/recipe.py", "data/segmentation/transform_options.py"},
        ),
    ],
)
def test_options_that_a_step_does_not_read_are_no_part_of_its_code(step, component, without):
    reached = code_identity(f"pipeline_src.steps.{step}", [component])["modules"]
    assert not reached.keys() & {f"pipeline_src/{file}" for file in without}
    assert not any("/config/" in file for file in reached)


@pytest.mark.parametrize("step", ["calibrate", "probe"])
def test_what_looks_at_a_run_before_its_first_step_does_not_hang_on_how_it_is_trained(step):
    reached = code_identity(f"pipeline_src.steps.{step}")["modules"].keys()
    training = {
        "engine", "training_job", "journal", "preflight", "recipe", "optimizer_step", "make_optimizer",
        "optimizer_options", "parameter_groups", "precision", "schedules", "finished_training",
    }  # fmt: skip
    assert not reached & {f"pipeline_src/training/{name}.py" for name in training}
    assert {f"pipeline_src/training/{name}.py" for name in ("initial_model", "seeding")} <= reached
