"""What ids of masks mean, which files look wrong, and how large samples are."""

import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.records import Record
from pipeline_src.errors import InputError
from pipeline_src.looking.boxes import look_at_boxes
from pipeline_src.looking.findings import size_of_object
from pipeline_src.looking.headers import equal_files, read_header
from pipeline_src.looking.mask_ids import meaning_of
from pipeline_src.looking.masks import CHUNK, look_at_masks
from tests.looking.made_up import image, mask, masks, planned


@pytest.mark.parametrize(
    ("seen", "names", "ignore", "expected"),
    [
        ([0, 1], [], None, {"classes": ["class_0", "class_1"], "ignore_index": 255}),
        # an id that was not seen, between ids that were, may stand in a mask that was not looked at
        ([0, 2, 255], [], None, {"classes": ["class_0", "class_1", "class_2"], "ignore_index": 255}),
        (
            [0, 90, 200],
            [],
            None,
            {"classes": ["class_0", "class_90", "class_200"], "ids": [0, 90, 200], "ignore_index": 255},
        ),
        ([0, 255], [], None, {"classes": ["class_0", "class_255"], "ids": [0, 255], "ignore_index": 254}),
        (
            [0, 255],
            ["ground", "cell"],
            None,
            {"classes": ["ground", "cell"], "ids": [0, 255], "ignore_index": 254},
        ),
        ([0, 1, 2], ["sky", "road", "Void"], None, {"classes": ["sky", "road"], "ignore_index": 2}),
        (
            [0, 1, 2, 255],
            ["un-labelled", "sky", "road"],
            None,
            {"classes": ["sky", "road"], "ids": [1, 2], "ignore_index": 0, "ignored_ids": [255]},
        ),
        ([0, 1, 2], [], [0], {"classes": ["class_1", "class_2"], "ids": [1, 2], "ignore_index": 0}),
    ],
)
def test_ids_are_classes_or_ignored(seen, names, ignore, expected):
    assert meaning_of(seen, names, ignore).entry == expected


@pytest.mark.parametrize(
    ("seen", "names", "expected"),
    [
        ([0, 300], [], "a mask holds the id 300"),
        ([4], [], "one class only, 'class_4'"),
        ([0, 1], ["void", "sky"], "one class only, 'sky'"),
        ([255], [], "all pixels that were looked at are 255"),
    ],
)
def test_ids_that_are_no_classes_are_refused(seen, names, expected):
    with pytest.raises(InputError, match=expected):
        meaning_of(seen, names)


def test_many_ids_are_asked_about():
    assert "shades of grey" in meaning_of(range(200), []).warnings[0]


def test_the_ids_that_init_writes_are_those_that_training_reads(init, tmp_path):
    """Masks of 0 and 255 through `init` and the reader's own checks."""
    given = masks(tmp_path / "data", ["a", "b", "c"], (0, 255))
    said = init(*given)
    dataset = planned(tmp_path)[0].datasets["mine"]
    assert (dataset.ids, dataset.ignore_index) == ([0, 255], 254) and "255 is taken for a class" in said


def test_a_palette_gives_each_class_its_colour(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b"], (0, 1))
    for path in (tmp_path / "data/masks").iterdir():
        coloured = Image.open(path).convert("P")
        coloured.putdata(list(Image.open(path).getdata()))
        coloured.putpalette([0, 0, 0, 128, 64, 255])
        coloured.save(path)
    said = init(*given)
    assert "#8040ff" in next(line for line in said.splitlines() if line.strip().startswith("class_1"))


def test_headers_say_what_decoding_would_lose(tmp_path):
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    turned = Image.new("RGB", (6, 4))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert "16 bits" in (said := read_header(tmp_path / "deep.png", "deep.png").problem) or "I;16" in said
    assert "cannot be decoded" in read_header(tmp_path / "broken.jpg", "broken.jpg").problem
    assert "is missing" in read_header(tmp_path / "gone.jpg", "gone.jpg").problem
    found = read_header(tmp_path / "turned.jpg", "turned.jpg")
    assert (found.size, found.turned, found.problem) == ((6, 4), True, "")


def test_equal_images_are_named_and_those_in_two_splits_first(tmp_path):
    for name in ("a", "b", "c"):
        image(tmp_path / f"{name}.bmp")  # all of one size in bytes
    shutil.copy(tmp_path / "a.bmp", tmp_path / "a2.bmp")
    shutil.copy(tmp_path / "b.bmp", tmp_path / "b2.bmp")
    records = {one: Record(one, f"{one}.bmp", "") for one in ("a", "a2", "b", "b2", "c")}
    splits = {"train": [records[one] for one in ("a", "a2", "b", "c")], "val": [records["b2"]]}
    assert equal_files(tmp_path, splits) == [
        "2 images stand there under several names, 1 of them in two splits: b.bmp (train) and b2.bmp (val)"
    ]
    assert equal_files(tmp_path, {"train": [records["a"], records["c"]]}) == []


def test_a_sample_of_masks_is_seeded_and_counted(tmp_path):
    names = [f"{number:03d}" for number in range(2 * CHUNK)]
    for name in names:
        image(tmp_path / f"{name}.jpg", (8, 8))
        mask(tmp_path / f"{name}.png", (int(name) % 5,), (8, 8))
    records = [Record(name, f"{name}.jpg", f"{name}.png") for name in names]
    first, second = (look_at_masks(tmp_path, records, "train", seconds=0) for _ in range(2))
    assert (first.images, first.looked_at) == (2 * CHUNK, CHUNK) and first.ids == second.ids
    whole = look_at_masks(tmp_path, records, "train", seconds=60)
    assert whole.looked_at == 2 * CHUNK
    assert whole.ids == {value: 64 * sum(int(name) % 5 == value for name in names) for value in range(5)}


def test_images_without_a_mask_are_counted(init, tmp_path):
    given = masks(tmp_path / "data", ["a", "b", "c", "d"])
    for name in ("x", "y"):
        image(tmp_path / f"data/images/{name}.jpg")
    for name in ("train", "val"):
        (tmp_path / f"data/{name}.txt").write_text("a\nb\nx\ny\n" if name == "train" else "c\nd\n")
    assert "train: 2 images have no mask, first images/x.jpg" in init(*given)


def test_sizes_of_objects_are_cocos(tmp_path):
    # 32² and 96² square pixels are the borders
    assert [size_of_object(area) for area in (1023, 1024, 9215, 9216)] == [
        "small",
        "medium",
        "medium",
        "large",
    ]
    image(tmp_path / "a.jpg", (200, 100))
    # a tenth of 200 by half of 100 pixels: 20x50 = 1000, small; then 40x50 = 2000, medium
    (tmp_path / "a.txt").write_text("0 .5 .5 .1 .5\n0 .5 .5 .2 .5\n")
    record = DetectionRecord("a", "a.jpg", "a.txt", form="yolo")
    split = look_at_boxes(tmp_path, {"train": [record]}, ["cat"]).splits["train"]
    assert (split.sizes["small"], split.sizes["medium"], split.counts["cat"]) == (1, 1, 2)
