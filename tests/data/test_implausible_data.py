"""Data that can be read and cannot be meant: refused in one line, or a warning that a person sees."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_src.data.check_file import CheckedFile, open_image
from pipeline_src.data.detection.transforms import DetectionTrainTransform
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.coco import read_coco_json
from pipeline_src.data.readers.mask_folders import MasksOptions, MasksReader, read_masks
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.errors import InputError
from pipeline_src.options import from_json
from pipeline_src.steps.manifest import _in_short, absent_classes
from pipeline_src.tasks.detection.manifest import BoxChecks
from pipeline_src.tasks.segmentation.manifest import MaskChecks

CLASSES = ["background", "cell", "rod"]


def noise(size=(40, 30), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.fixture
def coco(tmp_path):
    """Build the manifest of a split of 12 images, with one box each, after a change of its JSON."""

    def run(change=lambda value: None, classes=CLASSES):
        value = {
            "images": [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 30} for n in range(12)],
            "annotations": [
                {"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [5, 6, 10, 8]} for n in range(12)
            ],
            "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "rod"}],
        }
        for n in range(12):
            Image.fromarray(noise(seed=n)).save(tmp_path / f"{n}.png")
        change(value)
        (tmp_path / "a.json").write_text(json.dumps(value))
        spec = {"images": ".", "annotations": "a.json", "classes": classes}
        listing = read_coco_json([tmp_path], "train", spec)
        assert not listing.problems, listing.problems
        return build_manifest({"train": listing}, BoxChecks(classes))

    return run


def boxes(value, box):
    for one in value["annotations"]:
        one["bbox"] = box


def test_boxes_in_fractions_are_refused(coco):
    with pytest.raises(InputError, match=r"'train': all boxes lie within 0\.\.1; boxes are in pixels"):
        coco(lambda value: boxes(value, [0.1, 0.2, 0.5, 0.4]))


def test_corners_where_widths_are_meant_are_a_warning(coco):
    built = coco(lambda value: boxes(value, [20, 15, 38, 28]))
    assert any(
        "12 of 12 boxes reach outside their image; are their last two" in one
        for one in built.facts["warnings"]
    )
    assert not coco().facts["warnings"]


def test_a_box_that_stands_twice_is_a_warning(coco):
    built = coco(lambda value: value["annotations"].append({**value["annotations"][3], "id": 99}))
    assert built.facts["warnings"] == [
        "train: 1 boxes stand twice in their image and count twice, in 1 records: 3"
    ]
    # of another class it is another object
    other = coco(
        lambda value: value["annotations"].append({**value["annotations"][3], "id": 99, "category_id": 1})
    )
    assert not other.facts["warnings"]


def test_one_image_under_two_ids_is_a_warning(coco, tmp_path):
    def change(value):
        (tmp_path / "7.png").write_bytes((tmp_path / "2.png").read_bytes())

    assert coco(change).facts["warnings"] == [
        "train: 1 images stand there under several ids, first '2' and '7'"
    ]


@pytest.mark.parametrize("thin", [[5, 6, 1e-6, 8], [5, 6, 10, 1e-5], [39.999996, 6, 4e-6, 8]])
def test_slivers_count_as_without_area(coco, thin):
    facts = coco(lambda value: boxes({"annotations": value["annotations"][:4]}, thin)).facts["splits"][
        "train"
    ]
    assert (facts["objects"], facts["zero_area"]["boxes"]) == (8, 4)
    with pytest.raises(InputError, match="no image has a box with area; 12 have none"):
        coco(lambda value: boxes(value, thin))


def test_what_loses_its_area_in_a_transform_is_left_out():
    transform = DetectionTrainTransform(scales=((20, 15),), flip=1.0, mean=[0.5] * 3, std=[0.5] * 3)
    image = torch.zeros(3, 3000, 4000, dtype=torch.uint8)
    target = {
        "boxes": torch.tensor([[10.0, 10, 500, 500], [3999.0, 5, 3999.0005, 90], [3998.9998, 5, 3999, 90]]),
        "labels": torch.tensor([1, 2, 3]),
        "size": torch.tensor([3000, 4000]),
    }
    _, moved = transform(image, target, np.random.default_rng(0))
    width = moved["boxes"][:, 2] - moved["boxes"][:, 0]
    assert bool((width > 0).all()) and len(width) < 3 and moved["labels"][0] == 1
    assert len(moved["labels"]) == len(width)
    assert moved["size"].tolist() == [3000, 4000]


# --- ids ----------------------------------------------------------------------------------------


def as_text(value):
    for one in value["categories"]:
        one["id"] = str(one["id"])


def as_floats(value):
    for one in value["annotations"]:
        one["image_id"], one["category_id"] = float(one["image_id"]), float(one["category_id"])


def images_as_text(value):
    for one in value["images"]:
        one["id"] = str(one["id"])


def images_as_floats(value):
    for one in value["images"]:
        one["id"] = float(one["id"])


def one_as_text(value):
    value["categories"][1]["id"] = "2"


@pytest.mark.parametrize("change", [as_text, as_floats, images_as_floats, one_as_text])
def test_ids_of_another_kind_are_the_same_ids(coco, change):
    built, usual = coco(change), coco()
    assert built.content == usual.content
    assert [row["id"] for row in built.index["splits"]["train"]] == [str(n) for n in range(12)]


def test_ids_as_text_are_sorted_as_text(coco):
    built = coco(images_as_text)
    assert sorted(row["id"] for row in built.index["splits"]["train"]) == sorted(str(n) for n in range(12))
    assert built.facts["splits"]["train"]["objects"] == 12


def test_a_category_without_boxes_gives_way_to_one_of_its_name(coco):
    def roboflow(value):
        value["categories"].insert(0, {"id": 0, "name": "cell", "supercategory": "none"})

    assert coco(roboflow).content == coco().content

    def both_used(value):
        roboflow(value)
        value["annotations"][0]["category_id"] = 0

    with pytest.raises(InputError, match="defined twice"):
        coco(both_used)


# --- masks --------------------------------------------------------------------------------------


def mask_listing(root, ids, splits=("train",)):
    for split in splits:
        for folder in ("image", "mask"):
            (root / f"{split}-{folder}").mkdir(parents=True, exist_ok=True)
        for n in range(3):
            Image.fromarray(noise(seed=n)).save(root / f"{split}-image/{n}.png")
            values = np.resize(np.array(ids, np.uint8), (30, 40))
            Image.fromarray(values).save(root / f"{split}-mask/{n}.png")
    return {
        split: read_masks([root], split, {"images": f"{split}-image", "masks": f"{split}-mask"})
        for split in splits
    }


def test_masks_with_one_class_only_are_refused(tmp_path):
    checks = MaskChecks(LabelSpace.of(2, 255))
    with pytest.raises(InputError, match=r"all its labelled pixels are of class 0 .*, 1800 are not labelled"):
        build_manifest(mask_listing(tmp_path, [0, 255]), checks)
    assert build_manifest(mask_listing(tmp_path, [0, 1]), checks)


def test_a_class_that_no_split_has_is_a_warning(tmp_path):
    built = build_manifest(
        mask_listing(tmp_path, [1, 2], ("train", "val")), MaskChecks(LabelSpace.of(4, 255))
    )
    assert absent_classes(built.facts["splits"], ["a", "b", "c", "d"]) == [
        "no split has any labelled pixels of a, d; are the classes in the order of the ids?"
    ]
    assert not absent_classes(built.facts["splits"], [])
    assert _in_short(["one", "two"]) == "; warning: one (and 1 more)"
    assert _in_short([]) == ""


def options_of(**given):
    return from_json(MasksOptions, {"classes": ["cell", "rod"], **given})


def test_ids_before_and_among_the_classes_can_be_ignored(tmp_path):
    labels = MasksReader.labels(options_of(ids=[1, 3], ignored_ids=[0, 2]), ["cell", "rod"])
    space = LabelSpace.of(2, labels["ignore_index"], labels["class_ids"], labels["ignored_ids"])
    built = build_manifest(mask_listing(tmp_path, [0, 1, 2, 3, 255]), MaskChecks(space))
    counted = built.facts["splits"]["train"]["counted"]
    assert (counted["by_class"], counted["left_out"]) == ([720, 720], 2160)
    assert [built.facts["label_map"][value] for value in (0, 1, 2, 3, 255)] == [255, 0, 255, 1, 255]


def test_without_ids_nothing_changes():
    assert MasksReader.labels(options_of(), ["cell", "rod"]) == {"ignore_index": 255}


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ({"ids": [1]}, "ids", "has 1 ids for 2 classes"),
        ({"ids": [1, 1]}, "ids", "has an id twice"),
        ({"ids": [1, 300]}, "ids", "300 is no id of an 8-bit mask"),
        ({"ids": [1, 2], "ignored_ids": [2]}, "ignored_ids", "2 is the id of class 'rod'"),
        ({"ignored_ids": [0]}, "ignored_ids", "0 is the id of class 'cell'"),
        ({"ids": [1, 2], "ignore_index": 1}, "ignore_index", "1 is the id of class 'cell'"),
        ({"ignore_index": 1}, "ignore_index", "or say the classes' ids with `ids`"),
    ],
)
def test_ids_that_do_not_fit_are_named(given, key, expected):
    found = list(MasksReader.check(options_of(**given), {}, None))
    assert [place for place, _ in found] == [[key]] and expected in found[0][1]


# --- pixels that decoding would lose ------------------------------------------------------------


def opened(tmp_path, name):
    problems = []
    return open_image(tmp_path, CheckedFile(name), problems), problems


def test_several_pages_are_refused_and_a_phones_preview_is_none(tmp_path):
    pages = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    image, problems = opened(tmp_path, "a.tif")
    assert image is None and "a.tif has 3 pages or frames, of which one would be used" in problems[0]
    pages[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=pages[1:])
    assert opened(tmp_path, "a.jpg")[0] is not None


def test_16_bits_a_channel_are_refused(tmp_path):
    cv2 = pytest.importorskip("cv2")
    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), noise().astype(np.uint16) * 200)
        image, problems = opened(tmp_path, name)
        assert image is None and "16 bits a channel, of which 8 would be used" in problems[0]


@pytest.mark.parametrize(("mode", "taken"), [("RGBA", True), ("CMYK", True), ("RGBX", False)])
def test_a_fourth_band_that_is_no_transparency_is_refused(tmp_path, mode, taken):
    Image.new(mode, (4, 2)).save(tmp_path / "a.tif")
    image, problems = opened(tmp_path, "a.tif")
    assert (image is not None) == taken
    assert taken or "a.tif has 4 bands, of which 3 would be used" in problems[0]


def test_a_huge_image_is_to_be_cut(tmp_path, monkeypatch):
    Image.fromarray(noise()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    image, problems = opened(tmp_path, "a.png")
    assert image is None and "more than 200 pixels; cut it into tiles" in problems[0]
