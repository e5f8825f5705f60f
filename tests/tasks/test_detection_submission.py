"""A detector's submission to COCO's server: what the evaluation finds in the listed images."""

import io
import json
import shutil
import zipfile
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pipeline_src.cli.submission import plan_submission
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_submission import read_image_info, write_detections
from pipeline_src.evaluation.detections import Detections
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.provenance.job import Job
from pipeline_src.steps.manifest import make_manifest
from pipeline_src.tasks.detection import evaluation as detection_evaluation
from pipeline_src.tasks.detection.submission import ListedImages
from tests.jobs import change_job, run_job
from tests.tasks.tiny_detection import CODE, DETECTOR, evaluate_job, overlay, train_job, write_data

CLASSES = {"toothbrush": 90, "zebra": 24}
"""In an order that is not COCO's, so that labels 1 and 2 are neither their ids nor sorted."""

SIZES = {581929: (97, 61), 7: (33, 70), 391895: (64, 64), 40036: (51, 90)}
"""Width and height by image id, in an order that is not that of the ids."""

CHALLENGE = {12: (45, 47)}
"""Only in test2017."""


def info(sizes):
    images = [
        {"id": key, "file_name": f"{key:012}.jpg", "width": width, "height": height}
        for key, (width, height) in sizes.items()
    ]
    return {"images": images, "categories": [{"id": key, "name": name} for name, key in CLASSES.items()]}


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Test images in COCO's layout, and a manifest of those of test-dev for the evaluation."""
    root = tmp_path_factory.mktemp("coco")
    for folder in ("annotations", "test2017", "train2017", "val2017"):
        (root / folder).mkdir()
    for name in ("train2017", "val2017"):
        # planning looks that they are there; nothing here reads them
        (root / "annotations" / f"instances_{name}.json").write_text("{}")
    random = np.random.default_rng(5)
    for key, (width, height) in (SIZES | CHALLENGE).items():
        image = random.integers(0, 256, (height, width, 3))
        Image.fromarray(image.astype(np.uint8)).save(root / "test2017" / f"{key:012}.jpg")
    listed = info(SIZES)
    (root / "annotations/image_info_test-dev2017.json").write_text(json.dumps(listed))
    (root / "annotations/image_info_test2017.json").write_text(json.dumps(info(SIZES | CHALLENGE)))
    listed["annotations"] = [
        {"id": number, "image_id": key, "category_id": 24, "bbox": [1, 2, 12, 9], "area": 108, "iscrowd": 0}
        for number, key in enumerate(SIZES, 1)
    ]
    (root / "known.json").write_text(json.dumps(listed))
    params = {
        "dataset": "tiny",
        "format": "coco_json",
        "task": "detection",
        "root": str(root),
        "splits": {"val": {"images": "test2017", "annotations": "known.json"}},
        "num_classes": 3,
        "classes": ["background", *CLASSES],
    }
    outputs = {"sidecar": str(root / "manifest.json"), "index": str(root / "index.json")}
    make_manifest(Job("manifest", "tiny", "demo", params, {}, outputs, CODE, "m" * 64), workers=1)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run's train.json and its weights."""
    folder, data = tmp_path_factory.mktemp("trained"), tmp_path_factory.mktemp("boxes")
    write_data(data)
    job = train_job(folder, data)
    run_job(job, "--device", "cpu", "--work", f"{job}.work")
    return folder


def coco_overlay(root, **changes):
    """The study of the tiny detector, on COCO's own layout."""
    tree = overlay(root, **changes)
    splits = {"train": {"set": "train2017"}, "val": {"set": "val2017"}}
    source = {"kind": "folder", "root": str(root)}
    tree["datasets"]["coco_like"] = {
        "format": "coco", "source": source, "splits": splits, "classes": list(CLASSES)
    }  # fmt: skip
    tree["studies"]["tiny"]["dataset"] = "coco_like"
    return tree


def planned(tree, chosen=None, root=None):
    """The graph, and the jobs of the submission of its only run."""
    graph = GraphBuilder(load_params(overlays=[Layer("my.yaml", tree)], scale="smoke"))
    (run,) = graph.experiments.scorings
    return graph, plan_submission(graph, run, chosen, root)


def export(trained, graph, job):
    """Run the planned job below the working directory; returns the archive."""
    train = Path(job.inputs["train"])
    train.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(trained / "train.json", train)
    # its training was none of this plan
    run_job(replace(graph.plan.as_job(job), makers={}).write(), "--device", "cpu")
    return Path(job.outputs["archive"])


def evaluated(trained, coco, folder, monkeypatch, **changes):
    """What step `evaluate` finds in the images of test-dev."""
    inputs = {"manifest": str(coco / "manifest.json"), "train": str(trained / "train.json")}
    path = change_job(evaluate_job(folder, coco, **changes), lambda job: job.inputs.update(inputs))
    caught = []

    def catch(detections, *rest):
        caught.append(detections)
        return metrics(detections, *rest)

    metrics = detection_evaluation.detection_metrics
    monkeypatch.setattr(detection_evaluation, "detection_metrics", catch)
    run_job(path, "--device", "cpu")
    monkeypatch.undo()
    return caught[0]


def with_test(**test):
    """A study whose detector is tested in another way, and on few proposals."""
    proposals = {**DETECTOR["proposals"], "pre_nms_test": 100, "post_nms_test": 50}
    return {"model": {"backbone": "tiny", "detector": {**DETECTOR, "proposals": proposals, "test": test}}}


def read_by_pycocotools(archive, coco, folder):
    """The archive's only file, as the server reads it."""
    with zipfile.ZipFile(archive) as file:
        assert file.namelist() == [f"{archive.stem}.json"]
        file.extractall(folder)
    with redirect_stdout(io.StringIO()):
        listed = COCO(coco / "annotations/image_info_test-dev2017.json")
        return listed.loadRes(str(folder / f"{archive.stem}.json"))


TWO_SIZES = {
    **with_test(detections=5, nms_iou=0.9),
    "vary": {"sizes": {"two": {"evaluation.scales": [[96, 64], [120, 80]]}}},
    "tables": [{"number": 1, "title": "t", "row": "{sizes}", "metrics": ["ap"]}],
}


@pytest.mark.parametrize("way", ["usual", "not in every image", "two sizes"])
def test_the_archive_says_what_the_evaluation_finds(trained, coco, tmp_path, monkeypatch, way):
    changes = TWO_SIZES if way == "two sizes" else with_test()
    expected = evaluated(trained, coco, tmp_path, monkeypatch, **changes)
    if way == "not in every image":
        lowest, second = sorted(expected[str(key)].score[0] for key in SIZES)[:2]
        changes = with_test(score=float(lowest + second) / 2)
        expected = evaluated(trained, coco, tmp_path, monkeypatch, **changes)
    graph, (job,) = planned(coco_overlay(coco, **changes), root=str(coco))
    monkeypatch.chdir(tmp_path)
    found = read_by_pycocotools(export(trained, graph, job), coco, tmp_path)

    assert len(found.anns) == len(expected) > 0
    ids = list(CLASSES.values())
    for key, (width, height) in SIZES.items():
        rows, part = found.imgToAnns[key], expected[str(key)]
        assert [row["bbox"] for row in rows] == part.bbox.tolist()
        assert [row["score"] for row in rows] == part.score.tolist()
        assert [row["category_id"] for row in rows] == [ids[label - 1] for label in part.label]
        for x, y, across, down in part.bbox:
            assert x >= 0 and y >= 0 and x + across <= width + 1e-3 and y + down <= height + 1e-3
    counts = [len(found.imgToAnns[key]) for key in SIZES]
    assert (counts.count(0) == 1) == (way == "not in every image")
    if way == "usual":
        assert {row["category_id"] for row in found.anns.values()} == set(ids)
    if way == "two sizes":
        assert max(counts) == 5 and job.params["evaluation"]["scales"] == [[96, 64], [120, 80]]
    sidecar = json.loads(Path(job.sidecar).read_text())
    assert (sidecar["images"], sidecar["detections"]) == (len(SIZES), sum(counts))


def test_the_challenge_takes_all_of_test2017_from_both_archives(trained, coco, tmp_path, monkeypatch):
    graph, jobs = planned(coco_overlay(coco), "test2017")
    usual = planned(coco_overlay(coco))[1][-1]
    assert [(job.step, job.name) for job in jobs[:-1]] == [
        (step, name) for name in ("coco2017_test", "coco2017_test_info") for step in ("fetch", "extract")
    ]
    job = jobs[-1]
    assert job.inputs["images"] == [jobs[1].sidecar, jobs[3].sidecar]
    monkeypatch.chdir(tmp_path)
    for record, folder in zip(job.inputs["images"], ("test2017", "annotations"), strict=True):
        shutil.copytree(coco / folder, Path(record).with_suffix("") / folder)
        Path(record).write_text(json.dumps({"content": "e", "root": str(Path(record).with_suffix(""))}))
    archive = export(trained, graph, job)
    with zipfile.ZipFile(archive) as file:
        rows = json.loads(file.read("detections_test-challenge2017_tiny_base_seed-0_results.json"))
    assert {row["image_id"] for row in rows} == set(SIZES | CHALLENGE)
    first = archive.read_bytes()
    assert export(trained, graph, job).read_bytes() == first
    # neither list's submission overwrites the other's
    name = "detections_test-dev2017_tiny_base_seed-0_results.zip"
    assert usual.outputs["archive"] == f"results/smoke/submissions/{name}"
    assert not set(usual.outputs.values()) & set(job.outputs.values())


def test_neither_tasks_submission_reaches_the_other_one(coco):
    boxes = planned(coco_overlay(coco))[1][-1]
    graph = GraphBuilder(load_params(scale="smoke"))
    masks = plan_submission(graph, "dfp/depth-2/seed-0", root="voc")[-1]
    reached = {name: set(job.code["modules"]) for name, job in (("boxes", boxes), ("masks", masks))}
    assert "pipeline_src/evaluation/detect_multi_scale.py" in reached["boxes"]
    assert "pipeline_src/evaluation/inference.py" in reached["masks"]
    for name, others in (("boxes", ("segmentation", "evaluation/submission")), ("masks", ("detect", "coco"))):
        assert not [path for path in reached[name] if any(other in path for other in others)]
        assert not [path for path in reached[name] if "_training" in path]


@pytest.mark.parametrize(
    ("classes", "chosen", "message"),
    [
        (
            ["toothbrush", "lynx"],
            None,
            r"datasets\.coco_like\.classes: 'lynx' is none of COCO's 80 categories",
        ),
        (list(CLASSES), "val2017", r"--list val2017: the server tests on test-dev2017 and test2017; use one"),
    ],
)
def test_what_the_server_does_not_know_is_refused_before_anything_is_fetched(coco, classes, chosen, message):
    tree = coco_overlay(coco)
    tree["datasets"]["coco_like"]["classes"] = classes
    with pytest.raises(InputError, match=message):
        planned(tree, chosen)


def test_a_data_set_without_a_server_is_named(coco):
    with pytest.raises(InputError, match=r"of format voc_xml; there is one for voc2012, "):
        planned(overlay(coco))


ENTRY = {"id": 7, "file_name": "7.jpg", "width": 3, "height": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"images": [ENTRY]})[:-9], r"image_info_test-dev2017\.json: not valid JSON"),
        ("[]", r"test-dev2017\.json: has no list of images; COCO's image info has one"),
        ('{"images": []}', r"test-dev2017\.json: lists no image"),
        (json.dumps({"images": [ENTRY, ENTRY]}), r"test-dev2017\.json: lists image 7 twice"),
        (
            json.dumps({"images": [ENTRY, {**ENTRY, "id": 8, "file_name": "8.jpg"}]}),
            r"test2017/8\.jpg: no such file, though \S*test-dev2017\.json lists it as image 8",
        ),
        (
            json.dumps({"images": [{**ENTRY, "id": "7"}]}),
            r"test-dev2017\.json: image 0 of the list is .*; it needs a file_name and the numbers id, width",
        ),
        (None, r"no annotations/image_info_test-dev2017\.json, which lists COCO's images to predict"),
    ],
)
def test_an_unusable_list_is_named(tmp_path, text, message):
    (tmp_path / "images" / "test2017").mkdir(parents=True)
    (tmp_path / "images" / "test2017" / "7.jpg").write_bytes(b"")
    (tmp_path / "annotations").mkdir()
    if text is not None:
        (tmp_path / "annotations" / "image_info_test-dev2017.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_image_info([tmp_path])


def test_images_that_are_not_there_or_not_as_listed_are_named(coco, tmp_path):
    with pytest.raises(InputError, match=r"no folder test2017 or images/test2017, which holds COCO's test"):
        shutil.copytree(coco / "annotations", tmp_path / "annotations")
        read_image_info([tmp_path])
    image = read_image_info([coco])[1]
    assert image == (7, coco / "test2017" / "000000000007.jpg", (70, 33))
    wrong = ListedImages([image._replace(size=(33, 70))], lambda pixels: pixels)
    with pytest.raises(InputError, match=r"000000000007\.jpg: is 33x70, but image 7 of the list is 70x33"):
        wrong[0]


def test_an_empty_submission_is_refused_and_not_written(tmp_path):
    nothing = Detections(3)
    nothing.add(7, {"boxes": np.zeros((0, 4)), "scores": [], "labels": []})
    with pytest.raises(InputError, match=r"nothing was detected in any of 1 images, and the server reads no"):
        write_detections(tmp_path / "a.zip", nothing, [90, 24])
    assert not list(tmp_path.iterdir())
