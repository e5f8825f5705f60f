"""Labels in YOLO's format: boxes worked out by hand, and every line that is none."""

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data.detection.check_record import check_record
from pipeline_src.data.detection.yolo_txt import parse_yolo
from pipeline_src.data.readers.yolo import read_yolo

LABELS = {"cat": 1, "dog": 2}


def test_fractions_become_borders_in_pixels():
    objects, problems = parse_yolo(b"1 0.5 0.25 0.2 0.5\n\n0 .5 .5 1 1\r\n", "a.txt", 2, (200, 80))
    assert not problems
    assert [one.label for one in objects] == [2, 1]
    # centre (100, 20), 40 wide and 40 high; then the whole image
    assert objects[0].box == pytest.approx((80, 0, 120, 40))
    assert objects[1].box == pytest.approx((0, 0, 200, 80))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2 .5 .5 .1 .1", "class 2 is none of 0 to 1"),
        ("-1 .5 .5 .1 .1", "class -1 is none of 0 to 1"),
        ("0.5 .5 .5 .1 .1", "class 0.5 is none of 0 to 1"),
        ("0 50 50 10 10", "is not in fractions of the image"),
        ("0 nan .5 .1 .1", "is not in fractions of the image"),
        ("0 .5 .5 -.1 .1", "is not in fractions of the image"),
        ("0 .5 .5 .1", "has 4 columns; a box is `class x y w h`"),
        ("0 .1 .1 .2 .1 .2 .2", "has 7 columns; a box is `class x y w h`; outlines"),
        ("cat .5 .5 .1 .1", "is not five numbers"),
    ],
)
def test_a_line_that_is_no_box_is_named(line, expected):
    objects, problems = parse_yolo(f"0 .5 .5 .1 .1\n{line}\n".encode(), "a.txt", 2, (10, 10))
    assert len(objects) == 1 and len(problems) == 1
    assert problems[0].startswith("labels a.txt, line 2: ") and expected in problems[0]


def test_labels_that_are_no_text_are_named():
    assert parse_yolo(b"\xff\xfe", "a.txt", 2, (10, 10)) == ([], ["labels a.txt are no text in UTF-8"])


@pytest.fixture
def root(tmp_path):
    """Three images of 40x20, two with labels (one of them empty), and labels without an image."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("a.JPG", "b.jpg", "c.png"):
        Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / "images" / name)
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "labels/b.txt").write_text("")
    (tmp_path / "labels/z.txt").write_text("")
    return tmp_path


SPEC = {"images": "images", "labels": "labels"}


def test_images_are_paired_with_labels_and_none_means_no_object(root):
    listing = read_yolo([root], "train", SPEC)
    assert [record.id for record in listing.records] == ["a", "b", "c"]
    assert not listing.problems and listing.warnings == ("train: 1 label files have no image, first z.txt",)
    found = [check_record(LABELS, root, record) for record in listing.records]
    assert not any(one.problems for one in found)
    assert found[0].objects.boxes.tolist() == [[10, 5, 30, 15]]
    assert [len(one.objects.boxes) for one in found] == [1, 0, 0]


def test_a_list_may_hold_paths_as_yolos_own_do(root):
    (root / "train.txt").write_text("./images/c.png\nimages/a.JPG\nb\n")
    listing = read_yolo([root], "train", {**SPEC, "list": "train.txt"})
    assert [record.id for record in listing.records] == ["c", "a", "b"]
    (root / "train.txt").write_text("d.png\n")
    listing = read_yolo([root], "train", {**SPEC, "list": "train.txt"})
    assert listing.problems == ("train record 'd.png': no image (listed in train.txt) in images",)


def test_a_list_may_name_folders_below(root):
    for folder, name in (("images", "a.JPG"), ("labels", "a.txt")):
        (root / folder / "clip").mkdir()
        (root / folder / name).rename(root / folder / "clip" / name)
    (root / "train.txt").write_text("./images/clip/a.JPG\n")
    listing = read_yolo([root], "train", {**SPEC, "list": "train.txt"})
    assert [(record.id, record.image, record.annotation) for record in listing.records] == [
        ("clip/a", "images/clip/a.JPG", "labels/clip/a.txt")
    ]
    assert check_record(LABELS, root, listing.records[0]).objects.boxes.tolist() == [[10, 5, 30, 15]]
    assert "labels/clip" in listing.sources
