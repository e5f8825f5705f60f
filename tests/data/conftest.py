"""Small data sets for the tests of the data room: generated scenes and hand-made folders of masks."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data.scenes.ade20k import write_ade20k
from pipeline_src.data.scenes.cityscapes import write_cityscapes
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.data.scenes.scene import Scene
from pipeline_src.data.scenes.voc2012 import write_voc2012
from tests.jobs import write_job_file

OLD_NS = 1_600_000_000_000_000_000
"""A time long past: files of that age are not taken for being written right now."""


@pytest.fixture(scope="session")
def voc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated scenes in VOC2012's layout: 7 train, 4 val, 5 further ones as SBD has them."""
    root = tmp_path_factory.mktemp("voc")
    settings = SceneSettings(seed=3, smallest=(61, 45), largest=(80, 64), objects=(2, 5))
    scenes = [
        scene
        for split, count in (("train", 7), ("val", 4), ("aug", 5))
        for scene in generate_scenes(settings, split, count)
    ]
    write_voc2012(scenes, root)
    return root


@pytest.fixture(scope="session")
def street_scenes() -> list[Scene]:
    """Generated scenes of 18 classes: 5 train, 3 val; all kinds of objects, crowds among them."""
    settings = SceneSettings(seed=7, smallest=(61, 45), largest=(80, 64), classes=18, objects=(4, 9))
    return [
        scene
        for split, count in (("train", 5), ("val", 3))
        for scene in generate_scenes(settings, split, count)
    ]


@pytest.fixture(scope="session")
def ade20k_folder(tmp_path_factory: pytest.TempPathFactory, street_scenes: list[Scene]) -> Path:
    """The scenes in ADE20K's layout; not to be written to."""
    root = tmp_path_factory.mktemp("ade20k")
    assert write_ade20k(street_scenes, root) == len(street_scenes)
    return root


@pytest.fixture(scope="session")
def cityscapes_folder(tmp_path_factory: pytest.TempPathFactory, street_scenes: list[Scene]) -> Path:
    """The scenes in Cityscapes' layout; not to be written to."""
    root = tmp_path_factory.mktemp("cityscapes")
    assert write_cityscapes(street_scenes, root) == len(street_scenes)
    return root


@pytest.fixture
def masks_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of images and masks: `make(train=["a", "b"], val=["c"])` with ids 0..2 and 11."""

    def make(seed: int = 0, ids: tuple[int, ...] = (0, 1, 2, 11), **splits: list[str]) -> Path:
        rng = np.random.default_rng(seed)
        root = tmp_path / "own"
        for split, stems in (splits or {"train": ["a", "b", "c"], "val": ["d", "e"]}).items():
            for folder in (split, f"{split}annot"):
                (root / folder).mkdir(parents=True, exist_ok=True)
            for stem in stems:
                height, width = rng.integers(5, 19, 2)
                pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
                mask = rng.choice(np.array(ids, dtype=np.uint8), (height, width))
                Image.fromarray(pixels).save(root / split / f"{stem}.png")
                Image.fromarray(mask).save(root / f"{split}annot" / f"{stem}.png")
        age(root)
        return root

    return make


@pytest.fixture
def masks_splits() -> dict[str, dict[str, Any]]:
    """The split section that belongs to `masks_folder`."""
    return {
        name: {"images": name, "masks": f"{name}annot", "list": None, "limit": None}
        for name in ("train", "val")
    }


@pytest.fixture
def write_job(tmp_path: Path) -> Callable[..., Path]:
    """Write a job file for a step: `write_job("manifest", params, outputs={...}, inputs={...})`."""

    def write(
        step: str, params: dict[str, Any], outputs: dict[str, str], inputs: dict[str, Any] | None = None
    ) -> Path:
        return write_job_file(tmp_path, step, params, outputs, inputs)

    return write


def age(root: Path) -> None:
    """Give every file below `root` an old time, each another one."""
    for position, path in enumerate(sorted(root.rglob("*"))):
        if path.is_file():
            os.utime(path, ns=(OLD_NS, OLD_NS + position * 1_000_000))
