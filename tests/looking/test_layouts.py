"""Folders as people have them: what `init` takes for images, masks, annotations and splits."""

import json

import pytest
import yaml

from tests.looking.made_up import XML, coco, image, mask, masks, planned


def splits(tmp_path):
    return planned(tmp_path)[0].datasets["mine"].splits


def lists(tmp_path):
    return [(tmp_path / f"mine_splits/{name}.txt").read_text().split() for name in ("train", "val")]


@pytest.mark.parametrize("one_folder", [True, False])
def test_a_suffix_of_masks_is_found(init, tmp_path, one_folder):
    folder = tmp_path / "images" if one_folder else tmp_path / "masks"
    for name in ("a1", "a10", "b", "c"):
        image(tmp_path / f"images/{name}.png")
        mask(folder / f"{name}_mask.png")
    init("--images", tmp_path / "images", "--masks", folder, "--random-weights")
    dataset = planned(tmp_path)[0].datasets["mine"]
    assert dataset.mask_suffix == "_mask"
    train, val = lists(tmp_path)
    assert sorted(train + val) == ["a1", "a10", "b", "c"]


def test_masks_with_everything_unusual_fit_the_lines(init, tmp_path):
    for name in "abcd":
        image(tmp_path / f"images/{name}.jpg")
        mask(tmp_path / f"masks/{name}_L.png", (0, 1, 2, 255))
    given = ("--images", tmp_path / "images", "--masks", tmp_path / "masks", "--random-weights")
    init(*given, "--classes", "void,sky,road")
    dataset = planned(tmp_path)[0].datasets["mine"]  # it counts the lines
    assert (dataset.ids, dataset.ignore_index, list(dataset.ignored_ids)) == ([1, 2], 0, [255])
    assert (dataset.mask_suffix, dataset.classes) == ("_L", ["sky", "road"])


def test_folders_of_frames_stay_together(init, tmp_path):
    for clip in "pqrs":
        for frame in range(3):
            image(tmp_path / f"images/{clip}/{frame}.jpg")
            mask(tmp_path / f"masks/{clip}/{frame}.png")
    given = ("--images", tmp_path / "images", "--masks", tmp_path / "masks", "--random-weights")
    said = init(*given, "--group-by", "folder")
    assert planned(tmp_path)
    train, val = lists(tmp_path)
    assert len(train) == 9 and len(val) == 3 and len({name[0] for name in val}) == 1
    assert "images of one folder together" in said and "train: 9 images" in said
    assert "say --group-by folder" in init(*given, "--force")


def test_the_folders_for_validation_beside_those_for_training_are_taken(init, tmp_path):
    for split, names in (("train", "abc"), ("val", "de")):
        for name in names:
            image(tmp_path / split / "images" / f"{name}.jpg")
            mask(tmp_path / split / "masks" / f"{name}.png")
    said = init(
        "--images", tmp_path / "train/images", "--masks", tmp_path / "train/masks", "--random-weights"
    )
    assert (splits(tmp_path)["val"].images, splits(tmp_path)["val"].masks) == ("val/images", "val/masks")
    assert "train: 3 images" in said and "val: 2 images" in said


@pytest.mark.parametrize("names", [("train2017", "val2017"), ("Training", "Validation"), ("train", "test")])
def test_folders_of_splits_are_known_by_their_names(init, tmp_path, names):
    given = masks(tmp_path / "data", ["a", "b"], below=names[0])
    masks(tmp_path / "data", ["c"], below=names[1])
    masks(tmp_path / "data", ["d"], below="trainees")
    said = init(*given)
    assert [splits(tmp_path)[name].images for name in ("train", "val")] == [
        f"images/{name}" for name in names
    ]
    assert "splits: folders that are there" in said and "val: 1 images" in said


def test_a_list_of_other_images_is_not_used_and_named(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b", "c"])
    (tmp_path / "data/train.txt").write_text("a\nz\n")
    (tmp_path / "data/val.txt").write_text("c\n")
    assert "train.txt is not used: it names 'z', which is no image here" in init(*given)


def test_a_list_of_paths_is_used(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b", "c"])
    (tmp_path / "data/train.txt").write_text("images/a.jpg\nimages/b.jpg\n")
    (tmp_path / "data/val.txt").write_text("images/c.jpg\n")
    assert "splits: lists train.txt and val.txt" in init(*given)
    assert splits(tmp_path)["train"].list == "train.txt"


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("", ""),
        ("images", "annotations"),
        ("JPEGImages", "Annotations"),
        ("VOC2012/JPEGImages", "VOC2012/Annotations"),
    ],
)
def test_xml_is_found_beside_images(init, tmp_path, images, annotations):
    root = tmp_path / "voc"
    for number in range(4):
        image(root / images / f"{number}.jpg")
        (root / annotations).mkdir(parents=True, exist_ok=True)
        (root / annotations / f"{number}.xml").write_text(XML.format(name="cat"))
    said = init("--voc", root, "--random-weights")
    assert planned(tmp_path)[0].datasets["mine"].classes == ["cat"] and "train: 3 images" in said


def test_a_class_in_one_xml_file_of_many_is_found_however_it_is_written(init, tmp_path):
    for number in range(4):
        image(tmp_path / f"voc/{number}.jpg")
        text = XML.format(name="cat" if number else "a &amp; b")
        # a part's name is none of a class
        text = text.replace("</object>", "<part><name>paw</name></part></object>")
        (tmp_path / f"voc/{number}.xml").write_text(text)
    init("--voc", tmp_path / "voc", "--random-weights")
    assert planned(tmp_path)[0].datasets["mine"].classes == ["a & b", "cat"]


@pytest.mark.parametrize("stated", [("images/one", "images/two"), ("../images/one", "../images/two")])
def test_the_folders_that_yolos_file_names_are_taken(init, tmp_path, stated):
    root = tmp_path / "yolo"
    for part in ("one", "two"):
        image(root / f"images/{part}/{part}.jpg")
        (root / f"labels/{part}").mkdir(parents=True)
        (root / f"labels/{part}/{part}.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    names = {10: "ten", 1: "one", 0: "zero"}
    (root / "data.yaml").write_text(yaml.safe_dump({"train": stated[0], "val": stated[1], "names": names}))
    init("--yolo", root, "--random-weights")
    found = splits(tmp_path)
    assert (found["train"].images, found["val"].labels) == ("images/one", "labels/two")
    classes = planned(tmp_path)[0].datasets["mine"].classes
    assert (classes[0], classes[1], classes[10], len(classes)) == ("zero", "one", "ten", 11)


@pytest.mark.parametrize("names", ["_annotations.coco.json", "instances_{}.json"])
def test_cocos_file_for_validation_is_found_with_its_own_images(init, tmp_path, names):
    for split in ("train", "valid"):
        path = tmp_path / split / names.format(split)
        coco(path)
        value = json.loads(path.read_text())
        for one in value["images"]:
            (path.parent / "images" / one["file_name"]).rename(path.parent / f"{split}{one['file_name']}")
            one["file_name"] = f"{split}{one['file_name']}"
        path.write_text(json.dumps(value))
    train = tmp_path / "train" / names.format("train")
    given = [] if "{}" not in names else ["--val-coco", tmp_path / "valid/instances_valid.json"]
    said = init("--coco", train, *given, "--random-weights")
    assert [splits(tmp_path)[name].images for name in ("train", "val")] == ["train", "valid"]
    assert "val: 6 images" in said and "missing" not in said


def test_a_category_that_only_the_file_for_validation_has_is_a_class(init, tmp_path):
    for split, category in (("train", 7), ("val", 8)):
        coco(tmp_path / f"{split}.json")
        value = json.loads((tmp_path / f"{split}.json").read_text())
        value["categories"].append({"id": 8, "name": "rod"})
        for one in value["annotations"]:
            one["category_id"] = float(category)  # as some tools write it
        (tmp_path / f"{split}.json").write_text(json.dumps(value))
    said = init("--coco", tmp_path / "train.json", "--random-weights")
    assert planned(tmp_path)[0].datasets["mine"].classes == ["cell", "rod"]
    assert "class 'rod' has no boxes in train" in said and "not among the classes" not in said


def test_images_of_coco_that_are_missing_are_counted(init, tmp_path):
    coco(tmp_path / "all.json")
    (tmp_path / "images/0.jpg").unlink()
    assert "1 of " in (said := init("--coco", tmp_path / "all.json", "--random-weights"))
    assert "images are missing, first images/0.jpg" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not valid JSON"),
        ("[]", "is not COCO's format: it has no list of images"),
        ('{"images": [{"file_name": "a"}], "annotations": [], "categories": []}', "images[0] has no id"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no image"),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [], "categories": []}',
            "no category has an annotation",
        ),
    ],
)
def test_a_json_file_of_another_kind_is_one_line(init, tmp_path, text, expected):
    (tmp_path / "all.json").write_text(text)
    said = init("--coco", tmp_path / "all.json", status=2)
    assert said.startswith("error: ") and said.count("\n") == 1 and expected in said


@pytest.mark.parametrize("kind", ["--voc", "--yolo"])
def test_a_missing_folder_is_named(init, tmp_path, kind):
    assert init(kind, tmp_path / "gone", status=2) == f"error: {tmp_path / 'gone'}: no such folder\n"


def test_folders_without_a_pair_are_one_line(init, tmp_path):
    image(tmp_path / "images/a.jpg")
    mask(tmp_path / "masks/z.png")
    given = ("--images", tmp_path / "images", "--masks", tmp_path / "masks")
    assert "has a mask in" in init(*given, status=2)
    (tmp_path / "images/a.jpg").unlink()
    said = init(*given, status=2)
    assert "holds no image" in said and said.count("\n") == 1
