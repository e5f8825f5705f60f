"""A tiny VOC2012 folder, and the job and model that the evaluation tests run on it."""

import numpy as np
import torch
from PIL import Image

from pipeline_src.evaluation.palette import index_image
from pipeline_src.provenance.job import Job

CLASSES = ["background", "aeroplane", "bicycle", "bird"]
IDS = ["2012_000001", "2012_000002", "2012_000003"]
SIZES = [(40, 33), (33, 47), (64, 40)]
"""Width and height."""

MODEL = {
    "task": "segmentation",
    "num_classes": len(CLASSES),
    "backbone": {
        "timm": "resnet50.tv_in1k",
        "family": "resnet",
        "weights": "none",
        "args": {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]},
        "output_stride": 32,
        "out_norm": False,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
    "pyramid": None,
    "decoder": {"kind": "fcn", "channels": 0, "num_convs": 0, "concat_input": False, "dropout": 0.0},
}


def write_voc(root):
    rng = np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for image_id, (width, height) in zip(IDS, SIZES, strict=True):
        pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{image_id}.jpg")
        mask = rng.integers(0, len(CLASSES), (height, width)).astype(np.uint8)
        mask[rng.random((height, width)) < 0.1] = 255
        index_image(mask).save(root / "SegmentationClass" / f"{image_id}.png")
    for name in ("val", "test"):
        (root / "ImageSets" / "Segmentation" / f"{name}.txt").write_text("\n".join(IDS) + "\n")


def make_job(step, params, inputs, outputs):
    return Job(
        step, "fake/run", "demo", params, inputs, outputs, {"digest": "0" * 64, "modules": {}}, "0" * 64
    )


def predicted_by_hand(model, path):
    """The class of every pixel, from the file to the argmax, written out."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    norm = MODEL["backbone"]
    normalised = (pixels - np.float32(norm["mean"])) / np.float32(norm["std"])
    with torch.no_grad():
        return model(torch.from_numpy(normalised.transpose(2, 0, 1)[None].copy())).argmax(1)[0].numpy()
