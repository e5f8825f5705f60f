"""Predictions in the format of the Cityscapes evaluation server (pixel-level semantic labeling).

The server takes a zip with one PNG per test image, of the image's size, whose name begins with the
image's id `<city>_<sequence>_<frame>` and whose pixels are label ids, not train ids.
"""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.label_tables import CITYSCAPES_CLASSES
from pipeline_src.data.readers.cityscapes import IMAGE_END, IMAGES, cityscapes_root
from pipeline_src.errors import InputError
from pipeline_src.files import atomic_path

ENDING = "_pred_labelIds.png"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def read_test_images(root: Path, name: str = "test") -> list[tuple[str, Path]]:
    """(id, image file) of all images of the set `name` below `root`, sorted by city and id.

    Raises `InputError` when the set is not there or has no image.
    """
    folder = cityscapes_root([root]) / IMAGES / name
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it should hold one folder for each city")
    files = sorted(folder.glob(f"*/*{IMAGE_END}"))
    if not files:
        raise InputError(f"{folder}: holds no <city>/*{IMAGE_END}")
    return [(file.name.removesuffix(IMAGE_END), file) for file in files]


def write_label_ids(predictions: Iterable[tuple[str, NDArray[Any]]], path: str | Path) -> int:
    """Write (id, train ids `(H, W)`) as the server's zip of label ids; returns the number of images.

    Same predictions, same bytes. Raises `InputError` for a network of more classes than Cityscapes has.
    """
    label_ids = np.array([one.label_id for one in CITYSCAPES_CLASSES], dtype=np.uint8)
    count = 0
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for image_id, ids in predictions:
            if int(ids.max()) >= len(label_ids):
                raise InputError(
                    f"{image_id}: predicts class {int(ids.max())}; Cityscapes has 0..{len(label_ids) - 1}"
                )
            buffer = io.BytesIO()
            Image.fromarray(label_ids[ids]).save(buffer, format="PNG", optimize=True)
            archive.writestr(zipfile.ZipInfo(f"{image_id}{ENDING}", _FIRST_DAY), buffer.getvalue())
            count += 1
    return count
