"""ADE20K and Cityscapes from the configuration to training ids: planned, drawn, checked and read."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline_src.components import COMPONENTS, load
from pipeline_src.config.data import SCENE_CLASSES
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.data.fetch_params import DrawScenes
from pipeline_src.data.fingerprint import cache_path
from pipeline_src.data.folder_state import folder_state
from pipeline_src.data.read_manifest import Manifest
from pipeline_src.data.readers.cityscapes import cityscapes_root
from pipeline_src.data.scenes import ade20k, cityscapes, coco, voc2012, voc_detection
from pipeline_src.data.scenes.generator import generate_scenes
from pipeline_src.data.scenes.paint import NUM_CLASSES
from pipeline_src.data.segmentation.dataset import SegmentationDataset
from pipeline_src.errors import InputError
from pipeline_src.options import from_json
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.steps import scenes as scenes_step
from tests.jobs import run_job

OLD_NS = 1_600_000_000_000_000_000
SETS = {
    "ade20k": {"train": {"set": "training"}, "val": {"set": "validation"}},
    "cityscapes": {"train": {"set": "train"}, "val": {"set": "val"}},
    "voc2012": {"train": {"set": "trainaug"}, "val": {"set": "val"}},
}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """`plan(dataset section)`: its manifest job and the plan; from then on the folder is an empty one."""

    def make(section):
        overlay = Layer("my.yaml", {"datasets": {"mine": section}})
        graph = GraphBuilder(load_params(overlays=[overlay], scale="smoke"))
        job = graph.data.manifest("mine")
        monkeypatch.chdir(tmp_path)
        return job, graph.plan

    return make


@pytest.fixture
def describe(write_job):
    def run(job):
        run_job(write_job("manifest", job.params, job.outputs, job.inputs), "--workers", "1")
        return Manifest.load(job.sidecar)

    return run


def drawn(layout, classes, **images):
    source = {"kind": "scenes", "seed": 4, "images": images, "size": [64, 48], "objects": [4, 8]}
    return {"format": layout, "source": {**source, "classes": classes}, "splits": SETS[layout]}


def own(layout, root):
    return {"format": layout, "source": {"kind": "folder", "root": str(root)}, "splits": SETS[layout]}


@pytest.mark.parametrize(
    ("layout", "classes"), [("ade20k", 20), ("ade20k", 5), ("cityscapes", 18), ("cityscapes", 5)]
)
def test_training_ids_are_those_of_the_scenes(plan, describe, write_job, layout, classes):
    job, planned = plan(drawn(layout, classes, train=4, val=3))
    (scenes,) = planned.needed_by(job)
    run_job(write_job("scenes", scenes.params, scenes.outputs))
    manifest = describe(job)
    assert manifest.num_classes == classes + 1
    assert manifest.classes == load(f"reader.{layout}").names[: classes + 1]
    settings = scenes_step.scene_settings(from_json(DrawScenes, scenes.params))
    for split, count in (("train", 4), ("val", 3)):
        expected = [(scene.image, scene) for scene in generate_scenes(settings, split, count)]
        dataset = SegmentationDataset(manifest.path, split)
        assert len(dataset) == count
        counted = np.zeros(classes + 1, dtype=int)
        for index in range(count):
            image, mask = dataset.load(index)
            pixels = image.permute(1, 2, 0).numpy().astype(int)
            # the order may be another one (by city), so that the picture tells which scene it is
            distance, scene = min(
                ((np.abs(pixels - picture).mean(), scene) for picture, scene in expected),
                key=lambda pair: pair[0],
            )
            assert distance < 4
            assert np.array_equal(mask.numpy(), np.where(scene.void, 255, scene.labels))
            counted += np.bincount(scene.labels[~scene.void], minlength=classes + 1)
        assert manifest.splits[split]["counted"]["by_class"] == counted.tolist()
        assert manifest.splits[split]["counted"]["left_out"] > 0


def test_trainaug_of_generated_voc_scenes_adds_the_split_aug(plan, describe, write_job):
    job, planned = plan(drawn("voc2012", 20, train=3, val=2, aug=4))
    (scenes,) = planned.needed_by(job)
    run_job(write_job("scenes", scenes.params, scenes.outputs))
    manifest = describe(job)
    assert (manifest.splits["train"]["images"], manifest.splits["val"]["images"]) == (7, 2)
    assert sum(record.id.startswith("aug_") for record in manifest.records("train")) == 4
    assert manifest.label_map is None and "class_ids" not in job.params


def test_two_extracted_archives_make_one_data_set(plan, describe, cityscapes_folder, tmp_path):
    names = ["cityscapes_images", "cityscapes_gtfine"]
    job, _ = plan(
        {"format": "cityscapes", "source": {"kind": "archives", "names": names}, "splits": SETS["cityscapes"]}
    )
    assert job.inputs["sources"] == [f"data/extracted/{name}.json" for name in names]
    for name, folder in zip(names, ("leftImg8bit", "gtFine"), strict=True):
        shutil.copytree(cityscapes_folder / folder, tmp_path / "data/extracted" / name / folder)
        Path(f"data/extracted/{name}.json").write_text(
            json.dumps({"root": f"data/extracted/{name}", "content": name})
        )
    manifest = describe(job)
    assert manifest.num_classes == 19 and manifest.splits["train"]["images"] == 5
    image, mask = SegmentationDataset(manifest.path, "val").load(0)
    assert mask.shape == image.shape[1:] and set(np.unique(mask)) <= {*range(19), 255}


def refusal(describe, job):
    with pytest.raises(InputError) as caught:
        describe(job)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def paint(path, value):
    mask = np.array(Image.open(path))
    mask[0, :3] = value
    Image.fromarray(mask).save(path)


def test_id_beyond_ade20ks_table_is_named(plan, describe, ade20k_folder, tmp_path):
    root = shutil.copytree(ade20k_folder, tmp_path / "ade")
    mask = "annotations/training/ADE_train_00000002.png"
    paint(root / "ADEChallengeData2016" / mask, 151)
    assert refusal(describe, plan(own("ade20k", root))[0]) == (
        f"data set 'mine': train record 'ADE_train_00000002': mask {mask} holds id 151 (3 pixels); "
        "allowed are 1..150 and, ignored, 0"
    )


def test_id_beyond_cityscapes_table_is_named(plan, describe, cityscapes_folder, tmp_path):
    root = shutil.copytree(cityscapes_folder, tmp_path / "city")
    name = "thirdtown_000000_000019"
    paint(root / f"gtFine/val/thirdtown/{name}_gtFine_labelIds.png", 34)
    assert refusal(describe, plan(own("cityscapes", root))[0]) == (
        f"data set 'mine': val record '{name}': mask gtFine/val/thirdtown/{name}_gtFine_labelIds.png holds "
        "id 34 (3 pixels); allowed are 7, 8, 11..13, 17, 19..28, 31..33 and, ignored, "
        "0..6, 9, 10, 14..16, 18, 29, 30"
    )


def test_image_without_a_mask_is_named_by_the_manifest(plan, describe, ade20k_folder, tmp_path):
    root = shutil.copytree(ade20k_folder, tmp_path / "ade")
    mask = "annotations/validation/ADE_val_00000003.png"
    (root / "ADEChallengeData2016" / mask).unlink()
    assert refusal(describe, plan(own("ade20k", root))[0]) == (
        f"data set 'mine': val record 'ADE_val_00000003': mask {mask} is missing; "
        "1 of 3 images have no mask in annotations/validation"
    )


@pytest.mark.parametrize(
    ("layout", "folder", "message"),
    [
        (
            "ade20k",
            "ADEChallengeData2016/annotations/validation",
            "annotations/validation: no such folder; ADE20K",
        ),
        (
            "cityscapes",
            "gtFine",
            "no folder gtFine, which holds Cityscapes' labels; is gtFine_trainvaltest.zip",
        ),
    ],
)
def test_missing_folder_stops_the_plan_in_one_line(
    plan, ade20k_folder, cityscapes_folder, tmp_path, layout, folder, message
):
    origin = ade20k_folder if layout == "ade20k" else cityscapes_folder
    root = shutil.copytree(origin, tmp_path / "own")
    shutil.rmtree(root / folder)
    with pytest.raises(InputError, match=message) as caught:
        plan(own(layout, root))
    assert "datasets.mine.source.root: " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ["ade20k", "cityscapes"])
def test_own_folder_is_compared_with_its_manifest(
    plan, describe, ade20k_folder, cityscapes_folder, tmp_path, layout
):
    root = shutil.copytree(ade20k_folder if layout == "ade20k" else cityscapes_folder, tmp_path / "own")
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(OLD_NS, OLD_NS))
    job, _ = plan(own(layout, root))
    manifest = describe(job)

    def state():
        return folder_state(
            load(f"reader.{layout}"), root, job.params["splits"], manifest.path, cache_path("mine")
        )

    assert manifest.fingerprint is not None and state().state == "unchanged"
    mask = manifest.root / manifest.records("val")[1].mask
    os.utime(mask, ns=(OLD_NS, OLD_NS + 1))
    assert state().state == "touched"
    paint(mask, 11)
    assert state().changed == (manifest.records("val")[1].mask,)
    mask.unlink()
    assert state().state == "changed" and "is missing; 1 of 3 images" in state().explain()


def test_a_city_more_is_seen_although_folders_are_not_entered(plan, describe, cityscapes_folder, tmp_path):
    root = shutil.copytree(cityscapes_folder, tmp_path / "own")
    job, _ = plan(own("cityscapes", root))
    manifest = describe(job)
    for kind in ("leftImg8bit", "gtFine"):
        for path in (root / kind / "val/thirdtown").iterdir():
            target = root / kind / "val/fourthtown" / path.name.replace("thirdtown", "fourthtown")
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
    found = folder_state(
        load("reader.cityscapes"), root, job.params["splits"], manifest.path, cache_path("mine")
    )
    assert len(found.added) == 3 and found.added[0].startswith("leftImg8bit/val/fourthtown/fourthtown_")
    assert cityscapes_root([root]) == root


def test_own_classes_of_a_folder_in_ade20ks_layout_begin_at_id_1(plan, ade20k_folder):
    job, _ = plan({**own("ade20k", ade20k_folder), "classes": ["wall", "house", "sky"]})
    assert (job.params["num_classes"], job.params["class_ids"], job.params["ignored_ids"]) == (
        3,
        [1, 2, 3],
        [0],
    )
    assert job.params["ignore_index"] is None


def test_the_real_data_sets_have_150_and_19_classes():
    sections = {
        "ade": {
            "format": "ade20k",
            "source": {"kind": "archives", "names": ["ade20k"]},
            "splits": SETS["ade20k"],
        },
        "city": own("cityscapes", "/somewhere"),
    }
    params = load_params(overlays=[Layer("my.yaml", {"datasets": sections})], scale="paper")
    assert [len(params.datasets[name].classes_by_id) for name in sections] == [150, 19]


def test_the_configuration_allows_the_splits_and_classes_that_can_be_drawn():
    written = {
        "ade20k": ade20k.SETS,
        "cityscapes": cityscapes.CITIES,
        "cityscapes_instances": cityscapes.CITIES,
        "coco": coco.SETS,
        "voc2012": voc2012.SPLITS,
        "voc_detection": voc_detection.SETS,
    }
    declared = {kind: load(kind) for kind in COMPONENTS if kind.startswith("reader.")}
    drawn = {reader.scene_layout: reader.scene_splits for reader in declared.values() if reader.scene_layout}
    assert {layout: tuple(splits) for layout, splits in written.items()} == drawn
    assert SCENE_CLASSES == NUM_CLASSES
