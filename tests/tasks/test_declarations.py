"""What is known of a task stands in its folder and in the two tables, and nowhere else."""

import ast
from pathlib import Path

import pytest

from pipeline_src.components import COMPONENTS
from pipeline_src.tasks.table import TASKS

ROOMS = (
    "calibration",
    "cli",
    "config",
    "planning",
    "provenance",
    "reporting",
    "running",
    "steps",
    "training",
)


def test_every_task_is_a_folder_with_the_same_files(project: Path) -> None:
    folders = [file.parent for file in (project / "pipeline_src/tasks").glob("*/declaration.py")]
    assert {folder.name for folder in folders} == set(TASKS)
    (files,) = {frozenset(file.name for file in folder.glob("*.py")) for folder in folders}
    assert "evaluation.py" in files
    for family in ("augment", "manifest", "training", "evaluation", "submission", "prediction", "costs"):
        assert {kind.partition(".")[2] for kind in COMPONENTS if kind.startswith(f"{family}.")} == set(TASKS)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_names_a_task_except_to_declare_of_which_it_is(project: Path, room: str) -> None:
    for path in (project / "pipeline_src" / room).rglob("*.py"):
        tree = ast.parse(path.read_text())
        allowed = {
            id(below)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("task", "tasks")
            for below in ast.walk(node)
        }
        named = [
            f"{path}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and node.value in TASKS and id(node) not in allowed
        ]
        assert not named


def test_a_new_task_needs_its_entries_only(run_python) -> None:
    printed = run_python(
        "from dataclasses import replace\n"
        "from pipeline_src.components import COMPONENTS\n"
        "from pipeline_src.reporting.metric import score\n"
        "from pipeline_src.tasks.table import TASKS\n"
        "shared = TASKS['detection'].metrics[0]\n"
        "TASKS['depth'] = replace(\n"
        "    TASKS['segmentation'], annotations='depths', heads={'regressor': 'decoder'},\n"
        "    metrics=(score('rmse', 'RMSE', 'root of the mean square', headline=True), shared),\n"
        ")\n"
        "COMPONENTS['augment.depth'] = 'pipeline_src.training.loss_options:Loss'\n"
        "from pipeline_src.config.model import HEADS\n"
        "from pipeline_src.config.recipe import RunRecipe\n"
        "from pipeline_src.reporting.metric_table import METRICS, headlines\n"
        "print(HEADS)\n"
        "print(METRICS['rmse'].tasks, METRICS[shared.name].tasks, [one.name for one in headlines('depth')])\n"
        "print(RunRecipe.__annotations__['augment'])\n"
        "print(RunRecipe.__dataclass_fields__['augment'].metadata['description'])\n"
    ).splitlines()
    assert printed[0].endswith("'detector': 'detector', 'regressor': 'decoder'}")
    assert printed[1] == "('depth',) ('detection', 'instances', 'depth') ['rmse']"
    assert "loss_options.Loss" in printed[2]
    assert printed[3].endswith("with a crop for depths.")
