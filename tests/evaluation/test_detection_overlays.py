"""Pictures and records of detections."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline_src.evaluation import detection_overlays
from pipeline_src.evaluation.detection_overlays import DetectionOverlayWriter, box_records, draw_boxes_panel
from pipeline_src.evaluation.detections import Detections, GroundTruth
from pipeline_src.evaluation.palette import voc_palette
from tests.evaluation.made_up_boxes import collected, made_up_split

NAMES = ["background", "cell", "platelet", "a class with a long name", "other"]


def write_pictures(folder, shown, seed=0):
    truth, found = made_up_split(seed, images=4, classes=4, difficult=True, ids=["b", "a/c", "a_c", "d"])
    detections, there = collected(truth, found, 4)
    writer = DetectionOverlayWriter(folder, shown, NAMES)
    pixels = {}
    for image_id, target in truth:
        rgb = np.random.default_rng(seed).integers(0, 256, (*target["size"], 3)).astype(np.uint8)
        pixels[image_id] = rgb
        writer(image_id, rgb, there[image_id], detections[image_id])
    return writer.finish(), pixels, truth, found


def test_the_best_of_detections_in_one_place_is_the_one_that_is_seen():
    rgb = np.full((120, 240, 3), 99, dtype=np.uint8)
    best = {"bbox": [40.0, 30.0, 150.0, 70.0], "label": 1, "score": 0.9}
    worse = [{**best, "label": label, "score": 0.9 - label / 10} for label in (2, 3)]
    alone, covered = (
        np.asarray(draw_boxes_panel(rgb, {"truth": [], "detections": shown}, "a", NAMES))
        for shown in ([best], [best, *worse])
    )
    # the lower half of both pictures: below the scores, above the names of classes
    rows = slice(44 + 60, 44 + 120)
    assert (alone[rows] == covered[rows]).all()
    assert (alone[rows] == voc_palette()[1]).all(axis=-1).any()


def test_the_chosen_images_are_written_with_all_their_boxes(tmp_path):
    index, pixels, truth, found = write_pictures(tmp_path, ["a_c", "a/c", "b"])
    assert json.loads((tmp_path / "index.json").read_text()) == index
    assert [entry["id"] for entry in index["images"]] == ["a/c", "a_c", "b"]
    assert len(list(tmp_path.glob("*.png"))) == 3 * 2
    for entry in index["images"]:
        rgb = pixels[entry["id"]]
        with Image.open(tmp_path / entry["image"]) as image:
            assert (np.asarray(image) == rgb).all()
        with Image.open(tmp_path / entry["panel"]) as panel:
            assert panel.width > 2 * 240
        target, one = dict(truth)[entry["id"]], dict(found)[entry["id"]]
        assert entry["size"] == list(target["size"]) == list(rgb.shape[:2])
        assert [box["label"] for box in entry["truth"]] == target["labels"].tolist()
        assert [box["ignored"] for box in entry["truth"]] == target["difficult"].tolist()
        scores = [box["score"] for box in entry["detections"]]
        assert scores == pytest.approx(sorted(one["scores"].tolist(), reverse=True), abs=1e-7)


def test_the_same_boxes_make_the_same_bytes(tmp_path):
    first = write_pictures(tmp_path / "a", ["b", "d"])[0]
    assert first == write_pictures(tmp_path / "b", ["b", "d"])[0]
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert first["content"] != write_pictures(tmp_path / "c", ["b", "d"], seed=1)[0]["content"]


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([0.9, 0.5, 0.49, 0.1, 0.0], "2 objects, 2 detections from score 0.5 (3 below)"),
        ([0.9, 0.6, 0.5], "2 objects, 3 detections from score 0.5"),
        ([], "2 objects, 0 detections from score 0.5"),
    ],
)
def test_the_caption_counts_the_detections_that_are_shown_and_those_that_are_not(monkeypatch, scores, text):
    captions = []
    draw_tiles = detection_overlays.draw_tiles
    monkeypatch.setattr(
        detection_overlays,
        "draw_tiles",
        lambda tiles, caption, *rest, **options: (
            captions.append(caption) or draw_tiles(tiles, caption, *rest, **options)
        ),
    )
    box = {"bbox": [4.0, 3.0, 15.0, 7.0], "label": 1}
    boxes = {"truth": [box, box], "detections": [{**box, "score": score} for score in scores]}
    draw_boxes_panel(np.zeros((20, 30, 3), dtype=np.uint8), boxes, "a", NAMES)
    assert captions == [f"a   {text}"]


def panel_of(rgb, objects, found):
    truth, detections = GroundTruth(5), Detections(5)
    truth.add(1, objects)
    detections.add(1, found)
    panel = draw_boxes_panel(rgb, box_records(truth[1], detections[1]), "1", NAMES)
    return np.asarray(panel)


def test_boxes_stand_where_the_objects_are():
    grey = np.full((300, 400, 3), 77, dtype=np.uint8)  # 400 pixels wide: shown at its own size
    pixels = panel_of(
        grey,
        {"boxes": [[50, 60, 150, 200]], "labels": [1]},
        {"boxes": [[100, 20, 390, 290], [0, 0, 9, 9]], "labels": [2, 3], "scores": [0.9, 0.4]},
    )
    corner_top, corner_left = 2 * 22, 8
    left = pixels[corner_top : corner_top + 300, corner_left : corner_left + 400]
    right = pixels[corner_top : corner_top + 300, corner_left + 408 : corner_left + 808]
    first, second, third = voc_palette()[1:4]
    assert (left[60, 50:150] == first).all() and (left[199, 50:150] == first).all()
    assert (left[60:200, 50] == first).all() and (left[60:200, 149] == first).all()
    assert (left[59, 50:150] == 255).all() and (left[100, 100] == 77).all()
    assert (right[289, 100:390] == second).all() and (right[20:290, 389] == second).all()
    assert not (right == third).all(axis=-1).any()  # its score is below what is shown


def test_objects_that_do_not_count_are_dashed():
    grey = np.full((300, 400, 3), 77, dtype=np.uint8)
    objects = {"boxes": [[50, 60, 150, 200]], "labels": [1], "difficult": [True]}
    left = panel_of(grey, objects, {"boxes": [], "labels": [], "scores": []})[44:344, 8:408]
    line = (left[60, 50:150] == voc_palette()[1]).all(axis=-1)
    assert 0.3 < line.mean() < 0.7 and (left[60, 50:150][~line] == 255).all()


@pytest.mark.parametrize("box", [[0, 0, 64, 48], [0, 0, 0, 0], [63.9, 47.9, 64, 48], [10, 10, 11, 40]])
def test_thin_boxes_and_boxes_at_the_border_can_be_drawn(box):
    found = {"boxes": [box], "labels": [4], "scores": [1.0]}
    panel_of(np.zeros((48, 64, 3), dtype=np.uint8), {"boxes": [box], "labels": [4]}, found)
