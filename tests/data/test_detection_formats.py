"""Detection data from the configuration to training: planned, drawn, checked, read, compared with later."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.components import load
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.data.coco_categories import COCO_CATEGORIES
from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.detection.read_index import DetectionIndex
from pipeline_src.data.detection.transform_options import DetectionAugment
from pipeline_src.data.detection.transforms import DetectionTrainTransform
from pipeline_src.data.fingerprint import cache_path
from pipeline_src.data.folder_state import folder_state
from pipeline_src.data.loader import training_loader
from pipeline_src.data.read_manifest import Manifest, list_digest
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.data.scenes.voc_detection import write_voc_detection
from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.planning.graph import GraphBuilder
from tests.jobs import run_job

OLD_NS = 1_600_000_000_000_000_000
SPLITS = {
    "coco": {"train": {"set": "train2017"}, "val": {"set": "val2017"}},
    "voc_detection": {"train": {"sets": ["2007/trainval", "2012/trainval"]}, "val": {"sets": ["2007/test"]}},
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
        path = write_job("manifest", job.params, job.outputs, job.inputs)
        run_job(path, "--workers", "1")
        return Manifest.load(job.sidecar)

    return run


def scenes(layout, **images):
    source = {"kind": "scenes", "images": images, "size": {"min": [64, 40], "max": [80, 90]}, "classes": 4}
    return {"format": layout, "source": source, "splits": SPLITS[layout]}


@pytest.mark.parametrize("layout", SPLITS)
def test_scenes_are_planned_drawn_described_and_trained_on(layout, plan, describe, write_job):
    extra = {"extra": 3} if layout == "voc_detection" else {}
    job, planned = plan(scenes(layout, train=8, val=4, **extra))
    assert set(job.components) == {f"reader.{layout}", "manifest.detection"}
    drawing = next(one for one in planned.jobs.values() if one.sidecar in job.inputs["sources"])
    run_job(write_job("scenes", drawing.params, drawing.outputs))
    manifest = describe(job)
    assert manifest.num_classes == len(manifest.classes) == 5 and manifest.classes[0] == "background"
    assert manifest.splits["train"]["images"] == 8 + extra.get("extra", 0)
    if layout == "coco":
        assert manifest.classes[1:] == tuple(category.name for category in COCO_CATEGORIES[:4])
    transform = DetectionTrainTransform.of(DetectionAugment([[96, 64]], 0.5), [0.5] * 3, [0.5] * 3)
    dataset = DetectionDataset(job.sidecar, "train", transform)
    for images, targets in training_loader(dataset, seed=0, batch=3, total_steps=4):
        assert len(images) == len(targets) == 3
        for image, target in zip(images, targets):
            height, width = image.shape[1:]
            boxes = target["boxes"].numpy()
            assert len(boxes) and (boxes[:, 2:] > boxes[:, :2]).all() and boxes.min() >= -1e-4
            assert (boxes[:, 2:] <= np.array([width, height]) + 1e-4).all()
            assert target["labels"].min() >= 1 and target["labels"].max() <= 4


@pytest.fixture
def own(tmp_path):
    """A user's folder in both formats: `pictures`, XML in `xml`, and the JSON of the same boxes."""
    settings = SceneSettings(seed=2, smallest=(50, 40), largest=(70, 60), classes=3, objects=(1, 4))
    drawn = tmp_path / "drawn"
    write_voc_detection(generate_scenes(settings, "train", 6), drawn)
    root = tmp_path / "own"
    root.mkdir()
    voc = drawn / "VOCdevkit" / "VOC2007"
    shutil.move(voc / "JPEGImages", root / "pictures")
    shutil.move(voc / "Annotations", root / "xml")
    (root / "train.txt").write_text("000001\n000002\n000003\n")
    (root / "val.txt").write_text("000004\n000005\n000006\n")
    for split, first in (("train", 1), ("val", 4)):
        content = {
            "images": [{"id": key, "file_name": f"{key:06d}.jpg"} for key in range(first, first + 3)],
            "annotations": [
                {"id": key, "image_id": key, "category_id": 1, "bbox": [1, 2, 8, 9]}
                for key in range(first, first + 3)
            ],
            "categories": [{"id": 1, "name": "aeroplane"}],
        }
        (root / f"{split}.json").write_text(json.dumps(content))
    age(root)
    return root


def age(root):
    for position, path in enumerate(sorted(root.rglob("*"))):
        if path.is_file():
            os.utime(path, ns=(OLD_NS, OLD_NS + position * 1_000_000))


def own_section(layout, root):
    splits = {
        "voc_xml": {
            name: {"images": "pictures", "annotations": "xml", "list": f"{name}.txt"}
            for name in ("train", "val")
        },
        "coco_json": {
            name: {"images": "pictures", "annotations": f"{name}.json"} for name in ("train", "val")
        },
    }
    classes = ["aeroplane", "bicycle", "bird"] if layout == "voc_xml" else ["aeroplane"]
    source = {"kind": "folder", "root": str(root)}
    return {"format": layout, "source": source, "splits": splits[layout], "classes": classes}


@pytest.mark.parametrize(("layout", "touched"), [("voc_xml", "xml/000002.xml"), ("coco_json", "train.json")])
def test_own_folder_needs_no_code_and_later_changes_are_named(layout, touched, own, plan, describe):
    job, _ = plan(own_section(layout, own))
    manifest = describe(job)
    assert (manifest.splits["train"]["images"], manifest.splits["val"]["images"]) == (3, 3)
    assert manifest.fingerprint is not None

    def state():
        return folder_state(
            load(f"reader.{layout}"), own, job.params["splits"], manifest.path, cache_path("mine")
        )

    assert state().state == "unchanged"
    os.utime(own / touched, ns=(OLD_NS, OLD_NS + 77))
    assert state().state == "touched"
    path = own / touched
    text = path.read_text()
    changed = text.replace("<xmin>", "<xmin> ") if layout == "voc_xml" else text.replace("[1, 2,", "[2, 2,")
    path.write_text(changed)
    assert state().explain() == f"data changed: {touched}"
    # spaces in XML say nothing of the boxes; another box does
    assert (describe(job).content == manifest.content) == (layout == "voc_xml")


def test_problems_name_the_data_set_and_all_stand_beside_the_manifest(own, plan, describe):
    job, _ = plan(own_section("voc_xml", own))
    for key in ("000001", "000005"):
        (own / "xml" / f"{key}.xml").write_text("<annotation>")
    with pytest.raises(InputError) as caught:
        describe(job)
    sidecar = Path(job.outputs["sidecar"])
    assert str(caught.value).startswith(
        "data set 'mine': train record '000001': annotation xml/000001.xml is not"
    )
    assert "(and 1 more, see" in str(caught.value) and not sidecar.exists()
    assert len(sidecar.with_name(f"{sidecar.name}.problems.txt").read_text().splitlines()) == 2


def test_network_of_a_segmentation_study_refuses_boxes(own):
    overlay = {"datasets": {"mine": own_section("voc_xml", own)}, "studies": {"dfp": {"dataset": "mine"}}}
    params = load_params(overlays=[Layer("my.yaml", overlay)], scale="paper")
    with pytest.raises(
        InputError, match=r"studies\.dfp\.dataset: 'mine' has boxes; a decoder learns from masks"
    ):
        GraphBuilder(params)


def test_index_keeps_cocos_proportions_compact_and_every_object_in_its_image(tmp_path):
    images, count = 4_000, 29_000
    rng = np.random.default_rng(0)
    starts = np.sort(rng.integers(0, count, images - 1))
    counts = np.diff(np.concatenate([[0], starts, [count]]))
    objects = Objects(
        rng.uniform(0, 640, (count, 4)).astype(np.float32),
        rng.integers(1, 81, count).astype(np.uint16),
        rng.uniform(0, 1e5, count).astype(np.float32),
        (rng.random(count) < 0.01).astype(np.uint8),
    )
    digest = "0" * 64
    rows = [
        {
            "id": str(key),
            "image": f"train2017/{key:012d}.jpg",
            "annotation": "../coco2017_annotations/annotations/instances_train2017.json",
            "sha256": digest,
            "files": [digest, digest],
        }
        for key in range(images)
    ]
    columns = {"counts": counts, "widths": np.full(images, 640), "heights": np.full(images, 480)}
    texts = {key: " ".join(map(str, value.tolist())) for key, value in columns.items()}
    index, path = tmp_path / "index.json", tmp_path / "manifest.json"
    write_json(index, {"splits": {"train": rows}, "columns": {"train": {**texts, **objects.packed()}}})
    facts = {"content": "c", "dataset": "coco", "root": str(tmp_path), "index": str(index), "num_classes": 81}
    facts |= {"classes": ["x"] * 81, "ignore_index": None, "label_map": None, "fingerprint": None}
    splits = {"train": {"list_digest": list_digest(row["id"] for row in rows)}}
    write_json(path, {**facts, "splits": splits})
    assert index.stat().st_size < 700 * images
    loaded = DetectionIndex.load(path, "train")
    for record in rng.integers(0, images, 50).tolist():
        first, found = int(counts[:record].sum()), loaded.objects(record)
        mine = slice(first, first + int(counts[record]))
        for name in ("boxes", "labels", "areas", "flags"):
            assert np.array_equal(getattr(found, name), getattr(objects, name)[mine])
    stored = loaded.all_objects
    assert sum(one.nbytes for one in (stored.boxes, stored.labels, stored.areas, stored.flags)) == 23 * count
