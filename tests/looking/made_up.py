"""Small made-up folders of images with masks or boxes, and the plan of what was written for them."""

import json
import zlib

import numpy as np
from PIL import Image

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.planning.summary_jobs import plan_everything

MOST_LINES = 25

XML = """<annotation><size><width>64</width><height>48</height></size><object><name>{name}</name>
<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>43</xmax><ymax>44</ymax></bndbox></object></annotation>"""


def image(path, size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(str(path).encode()))
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def mask(path, ids=(0, 1, 2), size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((size[1], size[0]), np.uint8)
    for place, value in enumerate(ids):
        values[:, place * size[0] // len(ids) : (place + 1) * size[0] // len(ids)] = value
    Image.fromarray(values).save(path)


def masks(root, names, ids=(0, 1, 2), below=""):
    for name in names:
        image(root / "images" / below / f"{name}.jpg")
        mask(root / "masks" / below / f"{name}.png", ids)
    return ("--images", root / "images", "--masks", root / "masks", "--random-weights")


def coco(path, images=6):
    value = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in range(images)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 7, "bbox": [5, 6, 20, 10], "area": 200, "iscrowd": 0}
            for n in range(images)
        ],
        # Roboflow's category 0 has no boxes
        "categories": [{"id": 0, "name": "cells"}, {"id": 7, "name": "cell"}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    for number in range(images):
        image(path.parent / "images" / f"{number}.jpg")


def planned(tmp_path):
    """The overlay that was written, which is short and plans."""
    path = tmp_path / "mine.yaml"
    assert len(path.read_text().splitlines()) <= MOST_LINES
    params = load_params(overlays=[Layer(str(path), read_yaml(path))])
    return params, plan_everything(params)
