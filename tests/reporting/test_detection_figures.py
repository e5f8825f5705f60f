"""Figures of detectors, from made-up files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from pipeline_src.data.instances.outlines import pack_mask
from pipeline_src.errors import InputError
from pipeline_src.reporting.figures.drawing import COLOURS
from pipeline_src.reporting.long_table import COLUMNS, write_tidy
from tests.reporting.made_up_study import drawn

VALUES = {
    "plain": {"ap_small": [10.0, 12.0], "ap_medium": [30.0, 32.0]},
    "ipg": {"ap_small": [13.0, 16.0], "ap_medium": [29.0, 33.0]},
}


def rows() -> list[dict]:
    return [
        {"name": name, "architecture": None, "baseline": None if name == "plain" else "plain",
         "runs": [{"name": f"{name}/seed-{seed}", "seed": seed} for seed in (0, 1)]}
        for name in VALUES
    ]  # fmt: skip


def test_ap_by_size_holds_values_and_paired_differences(tmp_path):
    path = tmp_path / "experiments.csv"
    lines = [
        ("s", "s_table1", row, f"{row}/seed-{seed}", seed, metric, value, "%")
        for row, metrics in VALUES.items() for metric, values in metrics.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    write_tidy(path, pd.DataFrame(lines, columns=COLUMNS))
    drawing = drawn("ap_by_size", rows(), {"experiments": str(path)})
    found = {(record["row"], record["size"]): record for record in drawing.records.to_dict("records")}
    assert found["plain", "small"]["ap"] == 11 and found["ipg", "small"]["ap"] == 14.5
    assert found["ipg", "small"]["difference"] == 3.5
    assert found["ipg", "medium"]["difference"] == 0
    assert found["ipg", "small"]["low"] < 3.5 < found["ipg", "small"]["high"]
    assert found["plain", "small"]["difference"] is None
    assert found["ipg", "large"]["ap"] is None
    values, differences = drawing.figure.axes
    assert len(values.patches) == 4 and len(differences.patches) == 2


MASK_AP = {"plain": {"mask_ap": [30.0, 32.0], "mask_ap_gap": [6.0, 4.0]},
           "ipg": {"mask_ap": [31.0, 31.0], "mask_ap_gap": [2.0, 1.0]}}  # fmt: skip


def gap(tmp_path: Path, values: dict):
    path = tmp_path / "experiments.csv"
    lines = [
        ("s", "s_table1", row, f"{row}/seed-{seed}", seed, metric, value, "%")
        for row, metrics in values.items() for metric, of_row in metrics.items()
        for seed, value in enumerate(of_row)
    ]  # fmt: skip
    write_tidy(path, pd.DataFrame(lines, columns=COLUMNS))
    return drawn("gap", rows(), {"experiments": str(path)}, task="instances")


def test_the_gap_reaches_from_val_to_train(tmp_path):
    drawing = gap(tmp_path, MASK_AP)
    plain, ipg = drawing.records.to_dict("records")
    assert (plain["val"], plain["train"], plain["gap"], plain["n"]) == (31, 36, 5, 2)
    assert (ipg["val"], ipg["train"], ipg["gap"], ipg["difference"]) == (31, 32.5, 1.5, -3.5)
    assert ipg["low"] < -3.5 < ipg["high"] and plain["difference"] is None
    scores, differences = drawing.figure.axes
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in scores.patches]
    assert bars == [(31, 36), (31, 32.5)]
    points = [line.get_xydata().tolist() for line in differences.lines if line.get_marker() == "o"]
    assert points == [[[-3.5, 1]]]
    assert [text.get_text() for text in scores.get_yticklabels()] == ["plain", "ipg"]


def test_a_row_that_finds_nothing_has_no_gap_to_speak_of(tmp_path):
    drawing = gap(tmp_path, {**MASK_AP, "ipg": {"mask_ap": [0.0, 0.0], "mask_ap_gap": [0.0, 0.0]}})
    _, ipg = drawing.records.to_dict("records")
    assert ipg["collapsed"] and ipg["difference"] is ipg["low"] is ipg["high"] is None
    scores, _ = drawing.figure.axes
    assert [text.get_text() for text in scores.get_yticklabels()] == ["plain", "ipg (collapsed)"]
    assert "collapsed" in " ".join(drawing.notes)


def test_masks_cover_their_objects_in_one_picture(tmp_path):
    paths = [evaluation(tmp_path / str(number), 0.9) for number in range(4)]
    mask = np.zeros((40, 60), dtype=bool)
    mask[5:9, 3:20] = True
    for number in range(4):
        file = tmp_path / str(number) / "index.json"
        index = json.loads(file.read_text())
        for box in (index["images"][0]["truth"][1], index["images"][0]["detections"][0]):
            box["outline"] = pack_mask(mask).decode()
        file.write_text(json.dumps(index))
    drawing = drawn("detections", rows(), {"evaluate": paths}, task="instances")
    for axes, label in zip(drawing.figure.axes, (2, 1, 1), strict=True):
        (shown,) = axes.images
        pixels = np.asarray(shown.get_array())
        assert pixels.dtype == np.uint8 and pixels.shape == (40, 60, 3)
        assert (pixels[~mask] == 0).all()
        half = np.round(255 * np.array(to_rgb(COLOURS[label - 1])) / 2)
        assert (pixels[mask] == half).all()


def evaluation(folder: Path, score: float) -> str:
    folder.mkdir()
    Image.fromarray(np.zeros((40, 60, 3), dtype=np.uint8)).save(folder / "0_image.png")
    entry = {
        "id": "a", "image": "0_image.png", "panel": "0_image.png", "size": [40, 60],
        "truth": [{"bbox": [1, 2, 10, 12], "label": 1, "ignored": False},
                  {"bbox": [20, 2, 10, 12], "label": 2, "ignored": True}],
        "detections": [{"bbox": [2, 2, 10, 12], "label": 1, "score": score},
                       {"bbox": [2, 2, 10, 12], "label": 2, "score": 0.2}],
    }  # fmt: skip
    index = {"content": "0", "classes": ["background", "cell", "plate"], "images": [entry]}
    (folder / "index.json").write_text(json.dumps(index))
    path = folder / "evaluate.json"
    path.write_text(json.dumps({"overlays": {"folder": str(folder)}, "job": {"name": folder.name}}))
    return str(path)


def test_detections_stand_beside_the_ground_truth(tmp_path):
    paths = [evaluation(tmp_path / str(number), 0.9 - 0.3 * number) for number in range(4)]
    drawing = drawn("detections", rows(), {"evaluate": paths})
    assert [axes.get_title(loc="left") or axes.get_title() for axes in drawing.figure.axes] == [
        "ground truth", "plain", "ipg",
    ]  # fmt: skip
    shown = [
        (record["column"], record["label"], record["score"]) for record in drawing.records.to_dict("records")
    ]
    # by the first seed of each row: 0.9 is certain; of 0.3 and 0.2 none is, so the best two are dotted
    truth = [("ground truth", "cell", None), ("ground truth", "plate", None)]
    best = [("ipg", "cell", pytest.approx(0.3)), ("ipg", "plate", 0.2)]
    assert shown == [*truth, ("plain", "cell", 0.9), *best]
    styles = [[patch.get_linestyle() for patch in axes.patches] for axes in drawing.figure.axes]
    assert styles == [["-", "--"], ["-"], [":", ":"]]


def test_a_picture_that_is_gone_is_named(tmp_path):
    paths = [evaluation(tmp_path / str(number), 0.9) for number in range(4)]
    (tmp_path / "0" / "0_image.png").unlink()
    with pytest.raises(InputError, match=r"0_image\.png: no such file; evaluate 0 again"):
        drawn("detections", rows(), {"evaluate": paths})
