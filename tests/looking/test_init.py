"""`init` on small made-up folders of every kind: what it says, what it writes, and how it refuses."""

import json
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline_src.cli.main import main
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.errors import run_command
from pipeline_src.planning.summary_jobs import plan_everything

MOST_LINES = 25


@pytest.fixture
def init(project, monkeypatch, capsys, tmp_path):
    """Run `init mine` at the project's root, writing to `tmp_path/mine.yaml`; what it prints or says."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def run(*arguments, status=0, name="mine"):
        out = ["--out", str(tmp_path / "mine.yaml")]
        monkeypatch.setattr(sys, "argv", ["pipeline_src", "init", name, *map(str, arguments), *out])
        with pytest.raises(SystemExit) as ended:
            run_command(main)
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == status, printed.out + printed.err
        return printed.out if status == 0 else printed.err

    return run


def image(path, size=(64, 48), value=120):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name) + value).integers(
        0, 256, (size[1], size[0], 3), dtype=np.uint8
    )
    Image.fromarray(pixels).save(path)


def mask(path, ids=(0, 1, 2), size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((size[1], size[0]), np.uint8)
    for place, value in enumerate(ids):
        values[:, place * size[0] // len(ids) : (place + 1) * size[0] // len(ids)] = value
    Image.fromarray(values).save(path)


def masks(root, names, ids=(0, 1, 2), below=""):
    for name in names:
        image(root / "images" / below / f"{name}.jpg")
        mask(root / "masks" / below / f"{name}.png", ids)
    return ("--images", root / "images", "--masks", root / "masks", "--random-weights")


def planned(tmp_path):
    """The overlay that was written, which is short and plans."""
    path = tmp_path / "mine.yaml"
    assert len(path.read_text().splitlines()) <= MOST_LINES
    params = load_params(overlays=[Layer(str(path), read_yaml(path))])
    return params, plan_everything(params)


def test_masks_without_splits_become_a_comparison_of_all_ideas(init, tmp_path):
    said = init(*masks(tmp_path / "data", [f"a{number}" for number in range(10)], (0, 1, 255)))
    params, plan = planned(tmp_path)
    train, val = ((tmp_path / f"mine_splits/{name}.txt").read_text().split() for name in ("train", "val"))
    assert sorted(train + val) == sorted(f"a{number}" for number in range(10)) and len(val) == 2
    dataset = params.datasets["mine"]
    assert (dataset.classes, dataset.ignore_index) == (["class_0", "class_1"], 255)
    runs = [job.name for job in plan.of("train")]
    assert len(runs) == 30 and all(run.startswith("cross/") for run in runs)
    assert params.recipes["mine"].augment.crop == [32, 64]
    assert "train: 8 images" in said and "class_1" in said and "snakemake --cores all" in said


def test_the_same_seed_makes_the_same_splits_and_a_new_image_moves_no_other(init, tmp_path):
    names = [f"a{number}" for number in range(40)]
    given = masks(tmp_path / "data", names)
    init(*given)
    first = set((tmp_path / "mine_splits/val.txt").read_text().split())
    init(*given, "--force")
    assert set((tmp_path / "mine_splits/val.txt").read_text().split()) == first
    init(*given, "--force", "--seed", 1)
    assert set((tmp_path / "mine_splits/val.txt").read_text().split()) != first
    masks(tmp_path / "data", ["b"])
    init(*given, "--force")
    assert len(first ^ set((tmp_path / "mine_splits/val.txt").read_text().split())) <= 1


def test_frames_of_one_video_stay_together(init, tmp_path):
    names = [f"video{video}_{frame}" for video in range(4) for frame in range(5)]
    init(*masks(tmp_path / "data", names), "--group-by", "prefix")
    val = (tmp_path / "mine_splits/val.txt").read_text().split()
    assert len(val) == 5 and len({name.split("_")[0] for name in val}) == 1


def test_splits_of_the_users_own_are_taken(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b"], below="train")
    masks(tmp_path / "data", ["c"], below="val")
    init(*given)
    splits = planned(tmp_path)[0].datasets["mine"].splits
    assert (splits["train"].images, splits["val"].masks) == ("images/train", "masks/val")
    assert not (tmp_path / "mine_splits").exists()


def test_lists_that_name_what_is_there_are_taken(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b", "c"])
    for name, entries in (("train", "a\nb\n"), ("val", "c\n")):
        (tmp_path / "data" / f"{name}.txt").write_text(entries)
    init(*given)
    assert planned(tmp_path)[0].datasets["mine"].splits["val"].list == "val.txt"
    (tmp_path / "data/val.txt").write_text("elsewhere\n")
    init(*given, "--force")
    assert planned(tmp_path)[0].datasets["mine"].splits["val"].list == str(tmp_path / "mine_splits/val.txt")


def coco(path, images=6):
    value = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in range(images)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 7, "bbox": [5, 6, 20, 10], "area": 200, "iscrowd": 0}
            for n in range(images)
        ],
        # Roboflow's category 0 has no boxes
        "categories": [{"id": 0, "name": "cells"}, {"id": 7, "name": "cell"}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    for number in range(images):
        image(path.parent / "images" / f"{number}.jpg")


def test_one_coco_file_is_split_and_categories_without_boxes_are_left_out(init, tmp_path):
    coco(tmp_path / "data/all.json")
    said = init("--coco", tmp_path / "data/all.json", "--random-weights")
    params, plan = planned(tmp_path)
    parts = [json.loads((tmp_path / f"mine_splits/{name}.json").read_text()) for name in ("train", "val")]
    ids = [{one["id"] for one in part["images"]} for part in parts]
    assert ids[0] | ids[1] == set(range(6)) and not ids[0] & ids[1]
    for part, kept in zip(parts, ids, strict=True):
        assert {one["image_id"] for one in part["annotations"]} == kept
    assert params.datasets["mine"].classes == ["cell"]
    assert {job.name.split("/")[0] for job in plan.of("train")} == {"cross_boxes"}
    assert "small objects" in said


XML = """<annotation><size><width>64</width><height>48</height></size><object><name>{name}</name>
<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>43</xmax><ymax>44</ymax></bndbox></object></annotation>"""


def test_a_voc_folder_is_recognised(init, tmp_path):
    for number in range(5):
        image(tmp_path / f"voc/JPEGImages/{number}.jpg")
        (tmp_path / "voc/Annotations").mkdir(exist_ok=True)
        (tmp_path / f"voc/Annotations/{number}.xml").write_text(XML.format(name=["cat", "dog"][number % 2]))
    said = init("--voc", tmp_path / "voc", "--random-weights")
    assert planned(tmp_path)[0].datasets["mine"].classes == ["cat", "dog"]
    assert "medium objects" in said


@pytest.mark.parametrize("roboflow", [True, False])
def test_yolo_folders_are_recognised(init, tmp_path, roboflow):
    root = tmp_path / "yolo"
    for split in ("train", "valid"):
        images, labels = (
            root / split / part if roboflow else root / part / split for part in ("images", "labels")
        )
        for number in range(2):
            image(images / f"{number}.jpg")
        labels.mkdir(parents=True)
        (labels / "0.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (root / "data.yaml").write_text(yaml.safe_dump({"names": {0: "cat", 1: "dog"}}))
    said = init("--yolo", root, "--random-weights")
    assert planned(tmp_path)[0].datasets["mine"].classes == ["cat", "dog"]
    assert "class 'cat' has no boxes in train" in said


def test_what_looks_wrong_is_said(init, tmp_path):
    path = tmp_path / "data/all.json"
    coco(path)
    value = json.loads(path.read_text())
    value["annotations"].append({**value["annotations"][0], "id": 90})
    value["annotations"][1]["bbox"] = [0.1, 0.1, 0.3, 0.4]
    path.write_text(json.dumps(value))
    said = init("--coco", path, "--random-weights")
    assert "0: a box stands there twice" in said
    assert "1: all boxes lie within one pixel; are they fractions of the image?" in said


@pytest.mark.parametrize(
    ("ids", "more", "expected"),
    [
        ((0, 255), (), "the masks hold only 0 and 255"),
        ((0, 1, 2), ("--classes", "a,b"), "--classes has 2 names, and masks hold the id 2"),
        ((0, 255), ("--ignore", "9"), "--ignore 9 lies among the ids of classes, which go up to 255"),
        ((3,), ("--ignore", "3"), "all their pixels are 3"),
        ((0, 1), ("--backbone", "resnet5"), "--backbone 'resnet5' is none of params.yaml's"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(init, tmp_path, ids, more, expected):
    given = masks(tmp_path / "data", ["a", "b", "c"], ids)
    said = init(*given, *more, status=2)
    assert said.startswith("error: ") and said.count("\n") == 1 and expected in said
    assert not (tmp_path / "mine.yaml").exists() and not (tmp_path / "mine_splits").exists()


def test_files_that_are_there_are_not_written_over(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b"])
    init(*given)
    (tmp_path / "mine.yaml").write_text("mine: by hand\n")
    assert "is there already; --force writes over it" in init(*given, status=2)
    assert (tmp_path / "mine.yaml").read_text() == "mine: by hand\n"


@pytest.mark.parametrize("name", ["demo", "voc2012", "my data", "../x"])
def test_a_name_that_is_taken_or_no_name_is_refused(init, tmp_path, name):
    assert f"NAME {name!r}" in init(*masks(tmp_path / "data", ["a", "b"]), name=name, status=2)


def test_colour_masks_are_refused_by_name(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b"])
    image(tmp_path / "data/masks/a.png")
    assert "a.png: has 3 bands (RGB); an index mask has one" in init(*given, status=2)


def test_looking_imports_no_torch(run_python):
    code = (
        "import sys; from pipeline_src.cli import init; print('torch' in sys.modules, 'timm' in sys.modules)"
    )
    assert run_python(code).strip() == "False False"
