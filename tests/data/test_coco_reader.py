"""COCO's JSON as reader and check see it: pycocotools agrees, bad input is named."""

import json
import math

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.coco import read_coco, read_coco_json
from pipeline_src.errors import InputError
from pipeline_src.tasks.detection.manifest import BoxChecks

SPEC = {"images": "pictures", "annotations": "boxes.json"}
CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 90, "name": "owl"}]


def content(seed=0, images=6):
    """A random file in COCO's format with gaps in all ids, an empty image, crowds and stated areas."""
    rng = np.random.default_rng(seed)
    entries = []
    sizes = {int(key): rng.integers(20, 60, 2).tolist() for key in rng.permutation(50)[:images] + 1}
    for number, key in enumerate(list(sizes)[1:] * 3):
        width, height = sizes[key]
        x, y = rng.uniform(0, width / 2), rng.uniform(0, height / 2)
        box = [x, y, rng.uniform(1, width / 2), rng.uniform(1, height / 2)]
        entry = {"id": 100 - number, "image_id": key, "category_id": int(rng.choice([7, 3, 90])), "bbox": box}
        if rng.random() < 0.7:
            entry |= {"area": float(rng.uniform(1, 500)), "iscrowd": int(rng.random() < 0.3)}
        entries.append({**entry, "segmentation": [[0, 0, 1, 1, 0, 1]]})
    return {
        "images": [
            {"id": key, "file_name": f"{key:04d}.png", "width": width, "height": height}
            for key, (width, height) in sizes.items()
        ],
        "annotations": entries,
        "categories": CATEGORIES,
    }


def write(root, value):
    (root / "pictures").mkdir(exist_ok=True)
    for image in value["images"]:
        pixels = np.full((image["height"], image["width"], 3), image["id"], dtype=np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / image["file_name"])
    (root / "boxes.json").write_text(json.dumps(value))
    return root


def build(root, classes=("background", "cat", "dog", "owl"), **changes):
    listing = read_coco_json([root], "train", {**SPEC, "classes": list(classes), **changes})
    return build_manifest({"train": listing}, BoxChecks(list(classes)))


def refusal(action):
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_reads_what_pycocotools_reads_with_contiguous_labels_in_the_files_order(tmp_path, seed):
    value = content(seed)
    root = write(tmp_path, value)
    api = COCO(str(root / "boxes.json"))
    listing = read_coco_json([root], "train", SPEC)
    assert [int(record.id) for record in listing.records] == sorted(api.imgs)
    labels = {category["id"]: label for label, category in enumerate(CATEGORIES, 1)}
    for record in listing.records:
        image = api.imgs[int(record.id)]
        assert record.image == f"pictures/{image['file_name']}"
        assert record.size == (image["width"], image["height"])
        theirs = api.loadAnns(api.getAnnIds(imgIds=int(record.id)))
        assert len(record.objects) == len(theirs)
        for ours, entry in zip(record.objects, theirs):
            x, y, width, height = entry["bbox"]
            assert ours.box == (x, y, x + width, y + height)
            assert ours.label == labels[entry["category_id"]]
            assert ours.area == entry.get("area") and ours.crowd == bool(entry.get("iscrowd", 0))
    assert any(not record.objects for record in listing.records)


def test_classes_of_the_configuration_decide_the_labels(tmp_path):
    root = write(tmp_path, content())
    ordered = read_coco_json([root], "train", {**SPEC, "classes": ["background", "owl", "cat", "dog"]})
    by_file = read_coco_json([root], "train", SPEC)
    change = {1: 2, 2: 3, 3: 1}
    for mine, theirs in zip(ordered.records, by_file.records):
        assert [item.label for item in mine.objects] == [change[item.label] for item in theirs.objects]
    missing = refusal(lambda: build(root, ("background", "cat", "dog")))
    assert "is of category 'owl', which is not among the classes" in missing
    assert "none of its categories (cat, dog, owl)" in refusal(lambda: build(root, ("background", "car")))


def test_content_follows_images_and_objects_not_how_the_file_states_them(tmp_path):
    value = content()
    root = write(tmp_path, value)
    first = build(root).content
    value["info"] = {"description": "another"}
    value["images"] = value["images"][::-1]
    write(root, value)
    assert build(root).content == first
    value["annotations"][0]["bbox"][0] += 0.5
    write(root, value)
    assert build(root).content != first


def change(section, number, **values):
    def apply(value):
        value[section][number].update(values)

    return apply


BAD = {
    "nan": (change("annotations", 0, bbox=[1, math.nan, 3, 3]), "is not finite"),
    "infinite": (change("annotations", 0, bbox=[1, math.inf, 3, 3]), "is not finite"),
    "inverted": (change("annotations", 0, bbox=[9, 9, -4, 3]), r"box (9, 9, 5, 12) is inverted"),
    "three numbers": (change("annotations", 0, bbox=[1, 2, 3]), "must be [x, y, width, height]"),
    "text": (change("annotations", 0, bbox=[1, 2, 3, "4"]), "must be [x, y, width, height]"),
    "category": (change("annotations", 0, category_id=4), "category_id 4, which the file does not define"),
    "image id": (change("annotations", 0, image_id=999), "of image 999, which the file does not define"),
    "huge box": (change("annotations", 0, bbox=[1, 10**400, 3, 3]), "is not finite"),
    "box of huge extent": (change("annotations", 0, bbox=[1, 1, 10**400, 3]), "is not finite"),
    "area": (change("annotations", 0, area=-1.0), "has area -1.0"),
    "huge area": (change("annotations", 0, area=10**400), "it must be a number of square pixels"),
    "crowd": (change("annotations", 0, iscrowd=2), "has iscrowd 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_annotation_is_refused_with_its_image_and_its_own_id(tmp_path, name):
    value = content()
    damage, expected = BAD[name]
    damage(value)
    entry = value["annotations"][0]
    message = refusal(lambda: build(write(tmp_path, value)))
    assert message.startswith(f"train record '{entry['image_id']}': annotation {entry['id']} of boxes.json ")
    assert expected in message and len(message) < 300


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize("value", ["67", 0, -3, 30.5, True, [30], math.nan, pytest.param(10**400, id="huge")])
def test_a_size_that_is_none_is_refused_by_its_image(tmp_path, side, value):
    stated = content()
    root = write(tmp_path, stated)
    stated["images"][2][side] = value
    (root / "boxes.json").write_text(json.dumps(stated))
    key = stated["images"][2]["id"]
    message = refusal(lambda: build(root))
    assert message.startswith(f"train record '{key}': image {key} of boxes.json has {side} ")
    assert len(message) < 300


@pytest.mark.parametrize("value", [None, "left out"])
def test_a_size_may_be_left_out_and_may_be_written_as_a_float(tmp_path, value):
    stated = content()
    root = write(tmp_path, stated)
    stated["images"][0]["height"] = value
    if value is not None:
        del stated["images"][0]["height"]
    stated["images"][1]["width"] *= 1.0
    (root / "boxes.json").write_text(json.dumps(stated))
    sizes = {int(one.id): one.size for one in read_coco_json([root], "train", SPEC).records}
    assert sizes[stated["images"][0]["id"]] is None
    assert sizes[stated["images"][1]["id"]] == (stated["images"][1]["width"], stated["images"][1]["height"])


@pytest.mark.parametrize("as_text", [False, True])
def test_an_image_id_that_stands_twice_is_the_first_message(tmp_path, as_text):
    value = content()
    root = write(tmp_path, value)
    key = value["images"][-1]["id"]
    again = {"id": str(key) if as_text else key, "file_name": "other.png"}
    value["images"].append(again)
    value["annotations"][0]["bbox"] = [1, 2]  # which would be a message of its own
    (root / "boxes.json").write_text(json.dumps(value))
    message = refusal(lambda: build(root))
    assert message.startswith(f"train record '{key}': image id {again['id']!r} stands twice in boxes.json")
    assert "(and 1 more" in message


def test_a_number_of_thousands_of_digits_is_one_line(tmp_path):
    root = write(tmp_path, content())
    text = (root / "boxes.json").read_text()
    (root / "boxes.json").write_text(text.replace('"width": ', '"width": ' + 5000 * "1", 1))
    assert f"{root / 'boxes.json'}: not valid JSON" in refusal(lambda: build(root))


def test_broken_file_and_missing_image_are_refused(tmp_path):
    value = content()
    root = write(tmp_path, value)
    text = (root / "boxes.json").read_text()
    (root / "boxes.json").write_text(text[: len(text) // 2])
    assert f"{root / 'boxes.json'}: not valid JSON" in refusal(lambda: build(root))
    (root / "boxes.json").write_text('{"images": []}')
    assert "has no list of annotations" in refusal(lambda: build(root))
    (root / "boxes.json").unlink()
    assert "no such annotation file" in refusal(lambda: build(root))
    write(root, value)
    gone = value["images"][2]
    (root / "pictures" / gone["file_name"]).unlink()
    message = refusal(lambda: build(root))
    assert message.startswith(f"train record '{gone['id']}': image pictures/{gone['file_name']} is missing")
    value["images"][2]["width"] += 1
    write(root, value)
    Image.new("RGB", (5, 5)).save(root / "pictures" / gone["file_name"])
    assert "is 5x5 but its annotation says" in refusal(lambda: build(root))
    value["categories"] = [*CATEGORIES, {"id": 7, "name": "cow"}]
    write(root, value)
    assert "category 7 ('cow') is defined twice" in refusal(lambda: build(root))


def test_boxes_outside_are_clipped_zero_areas_skipped_and_both_counted_by_name(tmp_path):
    value = content(images=3)
    for image in value["images"]:
        image.update(width=40, height=30)
    keys = [image["id"] for image in value["images"]]
    boxes = [
        (keys[0], [-5, 2, 20, 40]),
        (keys[0], [3, 3, 0, 9]),
        (keys[1], [50, 3, 10, 10]),
        (keys[1], [1, 1, 38, 28]),
        (keys[2], [0, 0, 40.000001, 30]),
    ]
    value["annotations"] = [
        {"id": number, "image_id": key, "category_id": 7, "bbox": box}
        for number, (key, box) in enumerate(boxes)
    ]
    built = build(write(tmp_path, value))
    found = Objects.unpacked(built.index["columns"]["train"])
    by_id = {keys[0]: [[0, 2, 15, 30]], keys[1]: [[1, 1, 39, 29]], keys[2]: [[0, 0, 40, 30]]}
    assert found.boxes.tolist() == [box for key in sorted(keys) for box in by_id[key]]
    facts = built.facts["splits"]["train"]
    assert facts["clipped"] == {"boxes": 1, "images": 1, "records": {str(keys[0]): 1}}
    assert facts["zero_area"]["boxes"] == 2
    assert facts["zero_area"]["records"] == {str(key): 1 for key in keys[:2]}
    assert any(
        "1 boxes reach outside their image and were clipped" in line for line in built.facts["warnings"]
    )
    assert any("2 boxes have no area" in line for line in built.facts["warnings"])


def test_every_record_whose_boxes_were_changed_is_named_and_the_content_does_not_depend_on_it(tmp_path):
    value = content(images=25)
    for image in value["images"]:
        image.update(width=40, height=30)

    def boxes(wide):
        stated = [[5, 2, wide, 9], [3, 3, 0, 9], [4, 3, 0, 9]]
        value["annotations"] = [
            {"id": number, "image_id": image["id"], "category_id": 7, "bbox": box}
            for number, (image, box) in enumerate((i, b) for i in value["images"] for b in stated)
        ]
        return build(write(tmp_path, value))

    built = boxes(50)
    facts = built.facts["splits"]["train"]
    names = {str(image["id"]) for image in value["images"]}
    assert facts["clipped"] == {"boxes": 25, "images": 25, "records": dict.fromkeys(names, 1)}
    assert facts["zero_area"] == {"boxes": 50, "images": 25, "records": dict.fromkeys(names, 2)}
    lines = built.facts["warnings"]
    assert len(lines) == 3 and all(line.endswith(" and 15 more") for line in lines[:2])
    assert "25 of 25 boxes reach outside their image; are their last two numbers corners" in lines[2]
    unclipped = boxes(35)
    assert unclipped.facts["splits"]["train"]["clipped"] == {"boxes": 0, "images": 0, "records": {}}
    assert unclipped.content == built.content


def test_official_layout_may_be_spread_over_the_archives_folders(tmp_path):
    value = content()
    root = write(tmp_path / "", value)
    for folder in ("a/train2017", "b/annotations"):
        (root / folder).mkdir(parents=True)
    for path in (root / "pictures").iterdir():
        path.rename(root / "a/train2017" / path.name)
    (root / "boxes.json").rename(root / "b/annotations/instances_train2017.json")
    for roots in ([root / "a", root / "b"], [root / "b", root / "a"]):
        listing = read_coco(roots, "train", {"set": "train2017", "limit": 4})
        assert len(listing.records) == 4
        assert all((listing.root / file).is_file() for record in listing.records for file in record.files)
    assert "no annotations/instances_val2017.json" in refusal(
        lambda: read_coco([root / "a"], "val", {"set": "val2017"})
    )
    assert "no folder train2017" in refusal(lambda: read_coco([root / "b"], "train", {"set": "train2017"}))


def test_a_stated_area_of_0_is_kept_as_pycocotools_keeps_it(tmp_path):
    value = content(seed=5)
    for entry in value["annotations"][::2]:
        entry["area"] = 0
    stated = [entry["area"] for entry in value["annotations"] if "area" in entry]
    found = Objects.unpacked(build(write(tmp_path, value)).index["columns"]["train"])
    assert len(found) == len(value["annotations"])
    assert (found.areas == 0).sum() == stated.count(0) > 5
