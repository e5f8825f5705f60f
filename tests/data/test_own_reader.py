"""A data format of a user's own: a class in a file outside the package, named in `params.yaml`."""

import numpy as np
import pytest
from PIL import Image

from pipeline_src.components import use_outside
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.data.segmentation.dataset import SegmentationDataset
from pipeline_src.errors import InputError
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.provenance.job import Job
from pipeline_src.steps.manifest import make_manifest

READER = "tests/outside/pairs.py:PairsReader"


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            pixels = rng.integers(0, 256, (8, 9, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.jpg")
            mask = rng.integers(0, 2, (8, 9)).astype(np.uint8)
            Image.fromarray(mask).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def planned(root, **changes):
    section = {
        "format": "pairs",
        "source": {"kind": "folder", "root": str(root)},
        "splits": {"train": {"folder": "a"}, "val": {"folder": "b"}},
        "classes": ["no", "yes"],
        **changes,
    }
    tree = {"components": {"reader.pairs": READER}, "datasets": {"mine": section}}
    return GraphBuilder(load_params(overlays=[Layer("my.yaml", tree)], scale="paper")).data.manifest("mine")


def test_it_is_planned_read_and_trained_on(root):
    job = planned(root)
    assert job.components == (f"reader.pairs={READER}", "manifest.segmentation")
    assert "tests/outside/pairs.py" in job.code["modules"]
    assert job.params["fingerprint"]["files"] == 12
    use_outside(job.components)
    outputs = {"sidecar": str(root / "manifest.json"), "index": str(root / "index.json")}
    make_manifest(Job("manifest", "mine", "paper", job.params, {}, outputs, job.code, job.digest), 1)
    data = SegmentationDataset(root / "manifest.json", "train")
    assert len(data) == 3 and data.classes == ("no", "yes")
    assert (data.load(1)[1].numpy() == np.asarray(Image.open(root / "a/1.png"))).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": {"train": {"folder": "a"}}}, r"datasets\.mine\.splits: has only train"),
        ({"splits": {"train": {}, "val": {}}}, r"datasets\.mine\.splits\.train\.folder: is missing"),
        ({"ignore_index": 1}, r"datasets\.mine\.ignore_index: 1 is the id of class 'yes'"),
        ({"format": "pears"}, r"datasets\.mine.*'pears'"),
    ],
)
def test_its_options_are_checked_as_those_of_the_package(root, changes, message):
    with pytest.raises(InputError, match=message):
        planned(root, **changes)
