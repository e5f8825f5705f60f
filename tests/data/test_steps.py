import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline_src.components import load
from pipeline_src.data.fingerprint import cache_path
from pipeline_src.data.folder_state import folder_state
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.data.readers.mask_folders import MasksReader
from pipeline_src.errors import InputError
from pipeline_src.files import content_of, digest_file
from tests.jobs import run_job

SCENES = {
    "layout": "voc2012",
    "seed": 2,
    "images": {"train": 4, "val": 3, "aug": 2},
    "size": {"min": [48, 40], "max": [64, 52]},
    "classes": 20,
    "objects": [1, 4],
    "crowds": 0.1,
}
VOC = {
    "dataset": "voc2012",
    "format": "voc2012",
    "splits": {"train": {"set": "trainaug", "limit": None}, "val": {"set": "val", "limit": None}},
    "num_classes": 21,
    "ignore_index": 255,
    "classes": [f"class {label}" for label in range(21)],
}


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def draw(write_job):
    def run(**changes):
        record = "data/scenes/voc-1234.json"
        run_job(write_job("scenes", {**SCENES, **changes}, {"sidecar": record}))
        return json.loads(Path(record).read_text())

    return run


@pytest.fixture
def describe(write_job):
    def run(params, sources=(), *flags):
        outputs = {name: f"results/data/{name}.json" for name in ("manifest", "index")}
        outputs["sidecar"] = outputs.pop("manifest")
        inputs = {"sources": list(sources)} if sources else {}
        run_job(write_job("manifest", params, outputs, inputs), *flags)
        return Manifest.load(outputs["sidecar"])

    return run


def digests(root):
    return {str(path.relative_to(root)): digest_file(path) for path in root.rglob("*") if path.is_file()}


def test_scenes_are_written_beside_their_record_and_equal_each_time(draw, tmp_path):
    record = draw()
    root = tmp_path / "data/scenes/voc-1234"
    assert record["root"] == "data/scenes/voc-1234" and record["images"] == 9
    first = digests(root)
    assert record["files"] == len(first)
    assert record["bytes"] == sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    (root / "left over").write_text("from before")
    again = draw()
    assert digests(root) == first and again["content"] == record["content"]
    assert sorted(path.name for path in Path("data/scenes").iterdir()) == ["voc-1234", "voc-1234.json"]
    assert draw(seed=3)["content"] != record["content"]


def test_failure_while_drawing_leaves_the_older_folder_alone(draw, tmp_path):
    draw()
    before = digests(tmp_path / "data/scenes")
    with pytest.raises(InputError, match="no split 'test'"):
        draw(images={"train": 1, "test": 1})
    assert digests(tmp_path / "data/scenes") == before
    assert sorted(path.name for path in Path("data/scenes").iterdir()) == ["voc-1234", "voc-1234.json"]


def test_bad_scene_settings_are_named(draw):
    with pytest.raises(InputError, match=r"size: \[4, 4\]"):
        draw(size=[4, 4])
    assert not Path("data/scenes").exists()


def test_manifest_of_scenes_goes_through_the_real_reader(draw, describe):
    record = draw()
    manifest = describe(VOC, ["data/scenes/voc-1234.json"])
    assert manifest.dataset == "voc2012" and manifest.classes == tuple(VOC["classes"])
    assert manifest.root.as_posix() == f"{record['root']}/VOCdevkit/VOC2012"
    assert (manifest.splits["train"]["images"], manifest.splits["val"]["images"]) == (6, 3)
    assert manifest.fingerprint is None and manifest.label_map is None
    sidecar = json.loads(manifest.path.read_text())
    assert sidecar["inputs"]["sources"] == [
        {"path": "data/scenes/voc-1234.json", "content": record["content"], "lineage": None}
    ]
    assert content_of(manifest.path) == manifest.content
    assert describe(VOC, ["data/scenes/voc-1234.json"]).content == manifest.content
    assert not cache_path("voc2012").exists()


def test_several_sources_are_searched_for_the_parts_of_the_set(draw, describe, tmp_path):
    draw()
    voc = tmp_path / "data/scenes/voc-1234/VOCdevkit/VOC2012"
    (tmp_path / "data/extracted/sbd").mkdir(parents=True)
    shutil.move(voc / "SegmentationClassAug", tmp_path / "data/extracted/sbd")
    (tmp_path / "data/extracted/sbd.json").write_text('{"root": "data/extracted/sbd", "content": "s"}')
    manifest = describe(VOC, ["data/scenes/voc-1234.json", "data/extracted/sbd.json"])
    assert manifest.splits["train"]["images"] == 6
    assert all((manifest.root / record.mask).is_file() for record in manifest.records("train"))


def test_data_that_a_record_names_but_that_is_gone_is_told(draw, describe, tmp_path):
    draw()
    shutil.rmtree(tmp_path / "data/scenes/voc-1234")
    with pytest.raises(InputError, match=r"voc-1234 is gone, though .*json records it; delete that record"):
        describe(VOC, ["data/scenes/voc-1234.json"])


def own(root, splits):
    return {
        "dataset": "own",
        "format": "masks",
        "root": str(root),
        "splits": splits,
        "num_classes": 3,
        "ignore_index": 11,
        "classes": ["sky", "road", "car"],
        "mask_suffix": "",
    }


def test_manifest_of_an_own_folder_and_what_a_later_plan_finds(masks_folder, masks_splits, describe):
    root = masks_folder()
    manifest = describe(own(root, masks_splits), (), "--workers", "1")
    assert manifest.root == root and manifest.fingerprint["files"] == 10
    assert manifest.label_map is not None and manifest.label_map[11] == 255
    cache = cache_path("own")

    def state():
        return folder_state(MasksReader, root, masks_splits, manifest.path, cache)

    assert cache.is_file() and state().state == "unchanged"
    os.utime(root / "train/a.png", ns=(1, 1))
    assert state().state == "touched"
    assert describe(own(root, masks_splits)).content == manifest.content
    assert state().state == "unchanged"
    path = root / "trainannot/a.png"
    Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    assert state().explain() == "data changed: trainannot/a.png"
    assert describe(own(root, masks_splits)).content != manifest.content


def test_mask_suffix_of_the_data_set_holds_for_its_splits(masks_folder, masks_splits, describe):
    root = masks_folder()
    for folder in ("trainannot", "valannot"):
        for path in (root / folder).iterdir():
            path.rename(path.with_stem(f"{path.stem}_L"))
    options = MasksReader.Options(classes=["x", "y", "z"], mask_suffix="_L")
    splits = {
        name: MasksReader.spec(options, MasksReader.Split(**split)) for name, split in masks_splits.items()
    }
    manifest = describe(own(root, splits))
    assert manifest.records("train")[0].mask == "trainannot/a_L.png"


def test_problems_name_the_data_set_and_stand_beside_the_manifest(
    masks_folder, masks_splits, describe, tmp_path
):
    root = masks_folder()
    (root / "trainannot/a.png").unlink()
    (root / "trainannot/b.png").unlink()
    with pytest.raises(InputError, match=r"^data set 'own': train record 'a'.*\(and 1 more, see results"):
        describe(own(root, masks_splits))
    assert len((tmp_path / "results/data/manifest.json.problems.txt").read_text().splitlines()) == 2
    assert not (tmp_path / "results/data/index.json").exists()


def test_missing_own_folder_is_named(masks_splits, describe):
    with pytest.raises(InputError, match="data set 'own': /nowhere: no such folder"):
        describe(own("/nowhere", masks_splits))


def test_readers_and_writer_are_found_by_their_kinds():
    for kind in ("reader.voc2012", "reader.masks", "reader.ade20k", "reader.cityscapes"):
        assert callable(load(kind))
    for kind in ("scenes.voc2012", "scenes.ade20k", "scenes.cityscapes"):
        assert callable(load(kind))
