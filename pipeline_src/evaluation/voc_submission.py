"""Predictions in the format of the PASCAL VOC2012 evaluation server.

The server takes an archive with `results/VOC2012/Segmentation/comp6_test_cls/<id>.png`, one index
image of the original size for every image of the test list. comp6 is the competition that allows
other training data than VOC's own, which an ImageNet backbone is.
"""

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline_src.errors import InputError
from pipeline_src.evaluation.palette import index_image
from pipeline_src.evaluation.segmentation_pass import Inference, predicted_classes, whole_image
from pipeline_src.files import atomic_path

FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"


def read_test_list(root: Path, name: str = "test") -> list[tuple[str, Path]]:
    """(id, image file) of the images that `ImageSets/Segmentation/<name>.txt` below `root` lists.

    Raises `InputError` for a list or an image that is not there, an empty list, or an id twice.
    """
    path = root / "ImageSets" / "Segmentation" / f"{name}.txt"
    if not path.is_file():
        raise InputError(f"{path}: no such file; it lists the images to predict")
    ids = path.read_text(encoding="utf-8").split()
    if not ids:
        raise InputError(f"{path}: lists no image")
    if len(set(ids)) != len(ids):
        raise InputError(f"{path}: lists {next(i for i in ids if ids.count(i) > 1)} twice")
    records = [(image_id, root / "JPEGImages" / f"{image_id}.jpg") for image_id in ids]
    for _, file in records:
        if not file.is_file():
            raise InputError(f"{file}: no such file, though {path} lists it")
    return records


def predict(
    model: torch.nn.Module,
    image: NDArray[np.uint8],
    mean: list[float],
    std: list[float],
    num_classes: int,
    device: torch.device,
    name: str,
    inference: Inference = whole_image,
) -> NDArray[Any]:
    """Class ids `(H, W)` of an RGB image `(H, W, 3)`; `model` has to be in evaluation mode."""
    pixels = torch.from_numpy(image).permute(2, 0, 1).to(torch.float32) / 255
    normalised = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        logits = inference(model, normalised.unsqueeze(0).to(device))
    return predicted_classes(logits, image.shape[:2], num_classes, name)


def write_submission(predictions: Iterable[tuple[str, NDArray[Any]]], path: str | Path) -> int:
    """Write (id, class ids `(H, W)`) as the server's tar.gz; returns the number of images.

    Same predictions, same bytes: no times, no owners.
    """
    count = 0
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for image_id, ids in predictions:
            buffer = io.BytesIO()
            index_image(ids).save(buffer, format="PNG", optimize=True)
            entry = tarfile.TarInfo(f"{FOLDER}/{image_id}.png")
            entry.size = buffer.tell()
            entry.mode = 0o644
            buffer.seek(0)
            archive.addfile(entry, buffer)
            count += 1
    return count
