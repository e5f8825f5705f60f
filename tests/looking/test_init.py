"""`init` on small made-up folders of every kind: what it says, what it writes, and how it refuses."""

import json

import pytest
import yaml

from tests.looking.made_up import XML, coco, image, mask, masks, planned


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
    assert "1 images: a box stands there twice, first '0'" in said
    assert (
        "all boxes lie within one pixel; they seem to be fractions where pixels are meant, first '1'" in said
    )


@pytest.mark.parametrize(
    ("ids", "more", "expected"),
    [
        ((0, 255), ("--ignore", "255"), "the masks hold one class only, 'class_0'"),
        ((0, 1, 2), ("--classes", "a,b"), "--classes has 2 names, and masks hold the id 2"),
        ((0, 1), ("--ignore", "9,x"), "--ignore 'x' is no id of a mask"),
        ((3,), ("--ignore", "3"), "all pixels that were looked at are 3"),
        ((0, 1), ("--classes", "a,a"), "--classes names 'a' twice"),
        ((0, 1), ("--classes", "names.txt"), "--classes names.txt: no such file"),
        ((0, 1), ("--val-images", "."), "--val-images and --val-masks belong together"),
        ((0, 1), ("--val-coco", "x.json"), "--val-coco goes with --coco, not with --masks"),
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


def test_looking_imports_no_torch(run_python, tmp_path):
    given = [*masks(tmp_path / "data", ["a", "b", "c"]), "--out", tmp_path / "mine.yaml"]
    code = (
        f"import sys; from pipeline_src.cli.main import main; main({['init', 'mine', *map(str, given)]}); "
        "print('torch' in sys.modules, 'timm' in sys.modules)"
    )
    assert run_python(code).splitlines()[-1] == "False False"


def test_a_failed_second_try_leaves_the_lists_of_the_first(init, tmp_path):
    given = masks(tmp_path / "data", [f"a{number}" for number in range(8)])
    init(*given)
    before = {path.name: path.read_text() for path in (tmp_path / "mine_splits").iterdir()}
    init(*given, "--force", "--seed", 5, "--classes", "a,b", status=2)
    assert {path.name: path.read_text() for path in (tmp_path / "mine_splits").iterdir()} == before
    assert planned(tmp_path)


def test_the_commands_that_come_next_are_those_that_work(init, tmp_path):
    given = masks(tmp_path / "my data", ["a", "b", "c"])
    said = init(*given[:-1])  # with pretrained weights
    file = f"'{tmp_path / 'mine.yaml'}'" if " " in str(tmp_path) else str(tmp_path / "mine.yaml")
    run = f"snakemake --cores all --configfile {file} --config accept_unverified=true"
    assert run in said and "nobody publishes a checksum of resnet18.tv_in1k" in said
    params = planned(tmp_path)[0]
    backbone = params.backbones[params.studies["cross"].model.backbone]
    assert (backbone.timm, backbone.weights) == ("resnet18.tv_in1k", "pretrained")
    assert "accept_unverified" not in init(*given, "--force")
    assert "for a CPU: small network, short training" in (tmp_path / "mine.yaml").read_text()


def test_a_gpu_gets_a_large_network_and_a_long_training(init, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for number in range(10):
        image(tmp_path / f"data/images/{number}.jpg", (700, 500))
        mask(tmp_path / f"data/masks/{number}.png", size=(700, 500))
    init("--images", tmp_path / "data/images", "--masks", tmp_path / "data/masks", "--group-by", "none")
    params = planned(tmp_path)[0]
    assert params.studies["cross"].model.backbone == "resnet50"
    assert params.recipes["mine"].augment.crop == [
        480,
        512,
    ]  # of 500 and 700, in multiples of 32, at most 512
    init(
        "--images",
        tmp_path / "data/images",
        "--masks",
        tmp_path / "data/masks",
        "--force",
        "--backbone",
        "swin_tiny",
    )
    assert planned(tmp_path)[0].studies["cross"].model.backbone == "swin_tiny"


@pytest.mark.parametrize("words", ["no", "010", "1:30", "5e-4", "a: b", "x # y", "ein Ä"])
def test_class_names_that_surprise_stay_what_they_are(init, tmp_path, words):
    init(*masks(tmp_path / "data", ["a", "b"], (0, 1)), "--classes", f"{words},other")
    assert planned(tmp_path)[0].datasets["mine"].classes == [words, "other"]
