"""The examples of docs/own-data.md can be run as they stand there, on the scenes that the demo leaves."""

import re
from pathlib import Path

import pytest

from pipeline_src.components import load
from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_nodes import Place
from pipeline_src.config.yaml_text import parse, read_yaml
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.planning.summary_jobs import plan_everything


@pytest.fixture(scope="module")
def page() -> str:
    return Path("docs/own-data.md").read_text()


@pytest.fixture
def example(page: str, tmp_path: Path):
    """An example, saved and read as the page says."""

    def read(name: str) -> Layer:
        _, _, below = page.partition(f"`{name}`")
        found = re.search(r"```yaml\n(.*?)```", below, re.DOTALL)
        assert found, f"the page shows no {name}"
        (tmp_path / name).write_text(found[1])
        return Layer(name, read_yaml(str(tmp_path / name)))

    return read


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch) -> Path:
    """A folder as `make demo` leaves one, named by MY_DATA."""
    settings = SceneSettings(seed=0, smallest=(32, 32), largest=(40, 40))
    drawn = [scene for split in ("train", "val") for scene in generate_scenes(settings, split, 2)]
    load("scenes.voc2012")(iter(drawn), tmp_path / "scenes")
    monkeypatch.setenv("MY_DATA", str(tmp_path / "scenes/VOCdevkit/VOC2012"))
    return tmp_path / "scenes"


@pytest.mark.parametrize(
    ("name", "study", "runs", "figures"),
    [("my_masks.yaml", "mine", 4, 2), ("my_boxes.yaml", "boxes", 2, 2)],
)
def test_an_example_is_planned_to_its_table_and_figures(example, scenes, name, study, runs, figures):
    params = load_params(overlays=[example(name)])
    found = expand(params)
    assert len(found.runs) == runs and list(found.rows) == [study]
    plan = plan_everything(params)
    assert [job.name for job in plan.of("table")] == [f"{study}_table1"]
    assert len(plan.of("figure")) == figures


@pytest.mark.parametrize(("name", "study"), [("my_masks.yaml", "mine"), ("my_boxes.yaml", "boxes")])
def test_the_folders_of_an_example_are_those_of_the_demo(example, scenes, name, study):
    for split in example(name).tree["datasets"][study]["splits"].values():
        for folder in split.values():
            assert (scenes / "VOCdevkit/VOC2012" / folder).exists(), folder


def test_every_other_piece_of_yaml_on_the_page_can_be_read(page):
    for piece in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        assert isinstance(parse(piece, Place("own-data.md")), dict)
