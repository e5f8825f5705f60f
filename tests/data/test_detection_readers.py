"""COCO's JSON and VOC's XML as readers and check see them: pycocotools agrees, bad input is named."""

import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pipeline_src.data.detection.manifest import build_detection_manifest
from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.detection.voc_xml import parse_voc_xml
from pipeline_src.data.readers.coco import read_coco, read_coco_json
from pipeline_src.data.readers.voc_detection import read_voc_detection, read_voc_xml
from pipeline_src.errors import InputError

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
    return build_detection_manifest({"train": listing}, list(classes))


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
    "area": (change("annotations", 0, area=-1.0), "has area -1.0"),
    "crowd": (change("annotations", 0, iscrowd=2), "has iscrowd 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_annotation_is_refused_with_its_image_and_its_own_id(tmp_path, name):
    value = content()
    damage, expected = BAD[name]
    damage(value)
    entry = value["annotations"][0]
    message = refusal(lambda: build(write(tmp_path, value)))
    assert message.startswith(f"train record '{entry['image_id']}': annotation {entry['id']} ")
    assert expected in message


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
    found = Objects.unpacked(built.index["objects"]["train"])
    by_id = {keys[0]: [[0, 2, 15, 30]], keys[1]: [[1, 1, 39, 29]], keys[2]: [[0, 0, 40, 30]]}
    assert found.boxes.tolist() == [box for key in sorted(keys) for box in by_id[key]]
    facts = built.facts["splits"]["train"]
    assert facts["clipped"] == {"boxes": 1, "images": 1, "first": [str(keys[0])]}
    assert facts["zero_area"]["boxes"] == 2
    assert facts["zero_area"]["first"] == [str(key) for key in sorted(keys[:2])]
    assert any(
        "1 boxes reach outside their image and were clipped" in line for line in built.facts["warnings"]
    )
    assert any("2 boxes have no area" in line for line in built.facts["warnings"])


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


# --- VOC ------------------------------------------------------------------------------------------


def xml(*objects, size=(30, 20)):
    body = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box, difficult in objects
    )
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation>{stated}{body}</annotation>"


@pytest.fixture
def own(tmp_path):
    for folder in ("img", "ann"):
        (tmp_path / folder).mkdir()
    for stem in "ab":
        Image.new("RGB", (30, 20)).save(tmp_path / "img" / f"{stem}.jpg")
        (tmp_path / "ann" / f"{stem}.xml").write_text(
            xml(("rbc", (1, 1, 30, 20), 0), ("wbc", (5, 6, 9, 9), 1))
        )
    return tmp_path


def build_voc(root, **changes):
    spec = {"images": "img", "annotations": "ann", **changes}
    classes = ["background", "rbc", "wbc"]
    return build_detection_manifest({"train": read_voc_xml([root], "train", spec)}, classes)


def test_vocs_pixels_become_borders_and_a_click_gets_no_area():
    text = xml(("cat", (1, 1, 30, 20), 0), ("cat", (4, 5, 4, 9), 1), ("dog", (7, 7, 7, 7), 0))
    labels = {"cat": 1, "dog": 2}
    parsed = parse_voc_xml(text.encode(), "x.xml", labels)
    assert parsed.size == (30, 20) and parsed.problems == []
    assert [item.box for item in parsed.objects] == [(0, 0, 30, 20), (3, 4, 4, 9), (6, 6, 6, 6)]
    assert [item.difficult for item in parsed.objects] == [False, True, False]
    borders = parse_voc_xml(text.encode(), "x.xml", labels, pixels=False)
    assert [item.box for item in borders.objects] == [(1, 1, 30, 20), (4, 5, 4, 9), (7, 7, 7, 7)]


def test_own_folders_of_xml(own):
    built = build_voc(own)
    objects = Objects.unpacked(built.index["objects"]["train"])
    assert objects.boxes.tolist() == [[0, 0, 30, 20], [4, 5, 9, 9]] * 2
    facts = built.facts["splits"]["train"]
    assert facts["class_objects"] == [0, 2, 2] and facts["difficult"] == 2
    (own / "list.txt").write_text("b\n")
    assert [row["id"] for row in build_voc(own, list="list.txt").index["splits"]["train"]] == ["b"]


BAD_XML = {
    "nan": (xml(("rbc", ("nan", 1, 2, 3), 0)), "object 1: rbc: box (nan, 1, 2, 3) is not finite"),
    "inverted": (xml(("rbc", (9, 1, 8, 3), 0)), "object 1: rbc: box (9, 1, 8, 3) is inverted"),
    "class": (xml(("rbc", (1, 1, 8, 3), 0), ("ufo", (1, 1, 8, 3), 0)), "object 2: class 'ufo' is unknown"),
    "number": (xml(("rbc", ("left", 1, 8, 3), 0)), "object 1: rbc has no usable bndbox (xmin left"),
    "difficult": (xml(("rbc", (1, 1, 8, 3), 5)), "object 1: rbc: difficult is '5'"),
    "truncated": (xml(("rbc", (1, 1, 8, 3), 0))[:-30], "is not valid XML"),
    "foreign": ("<html></html>", "holds <html>"),
    "size": (xml(("rbc", (1, 1, 8, 3), 0), size=(31, 20)), "is 30x20 but its annotation says 31x20"),
}


@pytest.mark.parametrize("name", BAD_XML)
def test_bad_xml_is_refused_with_record_and_object(own, name):
    text, expected = BAD_XML[name]
    (own / "ann/b.xml").write_text(text)
    message = refusal(lambda: build_voc(own))
    assert message.startswith("train record 'b': ") and expected in message


def test_missing_files_of_a_record_are_named(own):
    (own / "ann/b.xml").unlink()
    assert "train record 'b': annotation ann/b.xml is missing" in refusal(lambda: build_voc(own))
    (own / "list.txt").write_text("a\nc\n")
    assert "train record 'c': no image (listed in list.txt)" in refusal(
        lambda: build_voc(own, list="list.txt")
    )


def test_image_set_of_a_year_that_is_not_there_is_named(own):
    message = refusal(lambda: read_voc_detection([own], "train", {"sets": ["2007/trainval"]}))
    assert message.startswith(f"{own}: no VOCdevkit/VOC2007/ImageSets/Main/trainval.txt")


def test_moved_data_set_keeps_its_content(own, tmp_path):
    before = build_voc(own).content
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in ("img", "ann"):
        shutil.move(own / folder, moved / folder)
    assert build_voc(moved).content == before
