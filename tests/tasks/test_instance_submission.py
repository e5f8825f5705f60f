"""Submissions of Mask R-CNN: what pycocotools reads from the archives is what the network finds."""

import io
import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from pipeline_src.data.instances.outlines import unpack
from pipeline_src.errors import InputError
from pipeline_src.evaluation.paste_masks import outlined
from pipeline_src.evaluation.submit import Submission
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.tasks.instances.submission import InstanceSubmission
from tests.tasks.test_detection_submission import info

SIZES = {4: (97, 61), 9: (33, 70)}
MODEL = {
    "task": "instances",
    "num_classes": 3,
    "backbone": {
        "timm": "resnet50.tv_in1k",
        "family": "resnet",
        "args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16]},
        "output_stride": 32,
        "out_norm": False,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    },
    "pyramid": None,
    "detector": {
        "kind": "mask_rcnn",
        "fpn_channels": 8,
        "frozen_stages": None,
        "frozen_norm": False,
        "roi": {"channels": 16},
        "masks": {"channels": 8, "layers": 1},
        "test": {"score": 0.0, "nms_iou": 0.5, "detections": 7},
    },
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(2)
    return build_detector(MODEL).eval()


def submission(server, root, categories):
    said = Submission(
        model=MODEL,
        threads=1,
        server=server,
        list="test-dev2017" if server == "coco_segm" else "test",
        evaluation={"scales": [[96, 64]]},
        categories=categories,
    )
    return InstanceSubmission(SimpleNamespace(name="made"), said, [root])


def picture(size):
    pixels = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3))
    return Image.fromarray(pixels.astype(np.uint8))


def test_coco_takes_compressed_outlines(network, tmp_path):
    for folder in ("annotations", "test2017"):
        (tmp_path / folder).mkdir()
    for key, size in SIZES.items():
        picture(size).save(tmp_path / "test2017" / f"{key:012}.jpg")
    (tmp_path / "annotations/image_info_test-dev2017.json").write_text(json.dumps(info(SIZES)))
    made = submission("coco_segm", tmp_path, (90, 24))
    archive = tmp_path / "segm_test-dev2017_x_results.zip"
    counts = made.write(network, str(archive), torch.device("cpu"))
    with zipfile.ZipFile(archive) as file:
        rows = json.loads(file.read(f"{archive.stem}.json"))
    assert counts == {"images": 2, "detections": len(rows)} and rows
    assert {row["category_id"] for row in rows} <= {90, 24}
    found = made.collect(network, torch.device("cpu"), int, outlined)
    expected = [
        (key, (90, 24)[label - 1], score, outline)
        for key in found.images
        for label, score, outline in zip(found[key].label, found[key].score, found[key].outline, strict=True)
    ]
    assert len(rows) == len(expected)
    for row, (key, category, score, outline) in zip(rows, expected, strict=True):
        # no box: evaluators would take its area as the object's
        assert row.keys() == {"image_id", "category_id", "segmentation", "score"}
        assert (row["image_id"], row["category_id"], row["score"]) == (key, category, score)
        width, height = SIZES[row["image_id"]]
        mask = coco_mask.decode(row["segmentation"])
        assert mask.shape == (height, width) and (mask == unpack(outline, (width, height))).all()
    assert any(coco_mask.area(row["segmentation"]) for row in rows)


def test_cityscapes_takes_a_mask_for_every_object(network, tmp_path):
    folder = tmp_path / "leftImg8bit/test/berlin"
    folder.mkdir(parents=True)
    for key, size in SIZES.items():
        picture(size).save(folder / f"berlin_{key:06}_000019_leftImg8bit.png")
    made = submission("cityscapes_instances", tmp_path, (24, 26))
    archive = tmp_path / "x.zip"
    counts = made.write(network, str(archive), torch.device("cpu"))
    first = archive.read_bytes()
    found = made.collect(network, torch.device("cpu"), lambda key: made.names[int(key)], outlined)
    masks = 0
    with zipfile.ZipFile(archive) as file:
        for key, (width, height) in SIZES.items():
            name = f"berlin_{key:06}_000019"
            lines = file.read(f"{name}_pred.txt").decode().splitlines()
            assert len(lines) == len(found[name].score)
            for place, line in enumerate(lines):
                path, label_id, score = line.split(" ")
                assert int(label_id) == (24, 26)[found[name].label[place] - 1]
                assert float(score) == found[name].score[place]
                pixels = np.asarray(Image.open(io.BytesIO(file.read(path))))
                assert ((pixels > 0) == unpack(found[name].outline[place], (width, height))).all()
                masks += 1
    assert counts == {"images": 2, "detections": masks} and masks
    made.write(network, str(archive), torch.device("cpu"))
    assert archive.read_bytes() == first


def test_a_file_that_is_no_image_is_named(tmp_path):
    folder = tmp_path / "leftImg8bit/test/berlin"
    folder.mkdir(parents=True)
    (folder / "berlin_000001_000019_leftImg8bit.png").write_text("no")
    with pytest.raises(InputError, match=r"berlin_000001_000019_leftImg8bit.png: cannot be read as an image"):
        submission("cityscapes_instances", tmp_path, (24, 26))
