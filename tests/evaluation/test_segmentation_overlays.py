"""Palette, index images and the panels of fixed validation images."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline_src.evaluation.palette import colourise, index_image, voc_palette
from pipeline_src.evaluation.panels import draw_tiles, spread_evenly
from pipeline_src.evaluation.segmentation_overlays import OverlayWriter

CLASSES = ["background", "aeroplane", "bicycle"]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
VOC_COLOURS = {  # from the data set's documentation
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    8: (64, 0, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
    255: (224, 224, 192),
}


@pytest.mark.parametrize(("class_id", "colour"), VOC_COLOURS.items())
def test_palette_has_the_colours_of_voc(class_id, colour):
    assert tuple(voc_palette()[class_id]) == colour


def test_index_images_keep_their_ids(tmp_path):
    ids = np.random.default_rng(0).integers(0, 256, (13, 7)).astype(np.uint8)
    index_image(ids).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        assert (np.asarray(image) == ids).all()


def test_ids_that_fit_no_byte_are_refused():
    with pytest.raises(ValueError, match=r"0\.\.300"):
        index_image(np.array([[0, 300]]))


def test_void_is_hatched_in_grey_and_classes_are_not():
    ids = np.full((16, 16), 255, dtype=np.uint8)
    ids[:, 8:] = 1
    colours = colourise(ids, ignore_index=255)
    void = colours[:, :8].reshape(-1, 3)
    assert (void.std(axis=1) == 0).all()
    assert len(np.unique(void)) == 2
    assert (colours[:, 8:] == (128, 0, 0)).all()


def normalised(pixels):
    image = (pixels.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return image.transpose(2, 0, 1)


def write_scenes(folder, shown, names, seed=0):
    rng = np.random.default_rng(seed)
    writer = OverlayWriter(folder, shown, CLASSES, MEAN, STD, ignore_index=255)
    scenes = []
    for index, name in enumerate(names):
        pixels = rng.integers(0, 256, (31, 45, 3)).astype(np.uint8)
        truth = rng.integers(0, 3, (31, 45)).astype(np.uint8)
        truth[:2] = 255
        prediction = rng.integers(0, 3, (31, 45)).astype(np.int32)
        scenes.append((pixels, truth, prediction))
        writer(index, name, normalised(pixels), truth, prediction)
    return writer.finish(), scenes


@pytest.mark.parametrize(
    ("count", "length", "expected"),
    [(4, 101, [0, 25, 50, 75]), (2, 3, [0, 1]), (4, 4, [0, 1, 2, 3]), (9, 2, [0, 1]), (0, 5, []), (3, 0, [])],
)
def test_images_are_spread_over_the_split(count, length, expected):
    assert spread_evenly(count, length) == expected


@pytest.mark.parametrize("count", [3, 7, 12])
def test_the_distances_of_chosen_images_differ_by_one_at_most(count):
    for length in range(count, 60):
        places = [*spread_evenly(count, length), length]
        distances = np.diff(places)
        assert places[0] == 0 and len(distances) == count
        assert distances.max() - distances.min() <= 1, (count, length)


def test_the_chosen_images_are_written_and_no_others(tmp_path):
    index, scenes = write_scenes(tmp_path, [0, 2], ["2007_000033", "second", "a/b c"])
    assert json.loads((tmp_path / "index.json").read_text()) == index
    assert [entry["id"] for entry in index["images"]] == ["2007_000033", "a/b c"]
    assert len(list(tmp_path.glob("*.png"))) == 2 * 4
    for entry, (pixels, truth, prediction) in zip(index["images"], scenes[::2], strict=True):
        for kind, expected in (("image", pixels), ("truth", truth), ("prediction", prediction)):
            with Image.open(tmp_path / entry[kind]) as image:
                assert (np.asarray(image) == expected).all(), kind
        with Image.open(tmp_path / entry["panel"]) as panel:
            assert panel.width > 3 * 240


def test_the_same_predictions_make_the_same_bytes(tmp_path):
    first, _ = write_scenes(tmp_path / "a", [0, 1], ["x", "y"])
    second, _ = write_scenes(tmp_path / "b", [0, 1], ["x", "y"])
    assert first == second
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_content_changes_with_a_prediction(tmp_path):
    first, _ = write_scenes(tmp_path / "a", [0, 1], ["x", "y"], seed=0)
    second, _ = write_scenes(tmp_path / "b", [0, 1], ["x", "y"], seed=1)
    assert first["content"] != second["content"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "y"},
        {"classes": [*CLASSES, "bird"]},
        {"truth": np.full((4, 6), 2, np.uint8)},
        {"prediction": np.full((4, 6), 2, np.int32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_content_changes_with_each_thing_that_a_panel_shows(tmp_path, change):
    def content(folder, name="x", classes=CLASSES, truth=None, prediction=None):
        writer = OverlayWriter(folder, [0], classes, MEAN, STD, ignore_index=255)
        truth = np.zeros((4, 6), np.uint8) if truth is None else truth
        prediction = np.ones((4, 6), np.int32) if prediction is None else prediction
        writer(0, name, np.zeros((3, 4, 6), np.float32), truth, prediction)
        return writer.finish()["content"]

    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c", **change)


@pytest.mark.parametrize("count", [1, 4, 5, 20])
def test_names_of_classes_that_need_several_lines_all_stand_in_the_picture(count):
    names = [(number, f"a class with a long name {number}") for number in range(1, count + 1)]
    tile = Image.new("RGB", (480, 20), "white")
    pixels = np.asarray(draw_tiles([("tile", tile), ("tile", tile)], "", names, ignore_index=255))
    for class_id, name in names:
        assert (pixels == voc_palette()[class_id]).all(axis=-1).sum() >= 14 * 14, name
    lines = -(-count // 4)  # as many as fit beside each other: the picture is 984 pixels wide
    assert pixels.shape[0] == 2 * 22 + 20 + 22 * lines + 2 * 8


def test_many_classes_wrap_below_the_panel(tmp_path):
    classes = [f"a class with a long name {number}" for number in range(21)]
    writer = OverlayWriter(tmp_path, [0], classes, MEAN, STD, ignore_index=255)
    truth = np.arange(21 * 20, dtype=np.uint8).reshape(21, 20) % 21
    writer(0, "x", np.zeros((3, 21, 20), dtype=np.float32), truth, truth.astype(np.int32))
    entry = writer.finish()["images"][0]
    assert entry["miou"] == 1.0
    with Image.open(tmp_path / entry["panel"]) as panel:
        assert panel.height > 252 + 8 * 22  # the tile and at least as many lines as needed


def test_the_palette_is_that_of_real_voc_masks(real_data):
    masks = sorted((real_data / "voc2012_sample/VOCdevkit/VOC2012/SegmentationClass").glob("*.png"))
    with Image.open(masks[0]) as image:
        theirs = image.getpalette()
    assert theirs is not None and theirs[: 21 * 3] == voc_palette()[:21].reshape(-1).tolist()
