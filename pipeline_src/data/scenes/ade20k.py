"""Writes scenes in the layout of ADE20K's scene parsing benchmark, so that the real reader reads them.

`ADEChallengeData2016/{images, annotations}/{training, validation}` with JPEG images and grey PNG masks
(0 where a pixel is void, classes from 1), and the archive's two lists: objectInfo150.txt with each
class's share of the labelled pixels and its numbers of images, and sceneCategories.txt.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline_src.data.label_tables import ADE20K_CLASSES
from pipeline_src.data.scenes.scene import Scene
from pipeline_src.errors import InputError

SETS = {"train": ("training", "ADE_train"), "val": ("validation", "ADE_val")}
"""Folder and beginning of the file names, by split."""

UNLABELLED = 0
CATEGORY = "generated"
JPEG_QUALITY = 95


def write_ade20k(scenes: Iterable[Scene], root: Path) -> int:
    """Write scenes of the splits `train` and `val` below `root`; returns how many there were.

    The background becomes ADE20K's first class (wall, id 1), object class c its id c + 1.
    Raises `InputError` for another split.
    """
    top = root / "ADEChallengeData2016"
    for folder, _ in SETS.values():
        for kind in ("images", "annotations"):
            (top / kind / folder).mkdir(parents=True, exist_ok=True)
    numbers = dict.fromkeys(SETS, 0)
    pixels = np.zeros(256, dtype=np.int64)
    present = {split: np.zeros(256, dtype=np.int64) for split in SETS}
    categories = []
    for scene in scenes:
        if scene.split not in SETS:
            raise InputError(f"images: ADE20K's layout has no split {scene.split!r}; use {', '.join(SETS)}")
        folder, prefix = SETS[scene.split]
        numbers[scene.split] += 1
        name = f"{prefix}_{numbers[scene.split]:08d}"
        mask = np.where(scene.void, UNLABELLED, scene.labels + 1).astype(np.uint8)
        image = Image.fromarray(scene.image)
        image.save(top / "images" / folder / f"{name}.jpg", quality=JPEG_QUALITY, subsampling=0)
        Image.fromarray(mask).save(top / "annotations" / folder / f"{name}.png")
        counts = np.bincount(mask.ravel(), minlength=256)
        pixels += counts
        present[scene.split] += counts > 0
        categories.append(f"{name} {CATEGORY}\n")
    labelled = max(1, int(pixels[1:].sum()))
    lines = ["Idx\tRatio\tTrain\tVal\tName\n"]
    for label, name in enumerate(ADE20K_CLASSES, 1):
        share = pixels[label] / labelled
        lines.append(f"{label}\t{share:.4f}\t{present['train'][label]}\t{present['val'][label]}\t{name}\n")
    (top / "objectInfo150.txt").write_text("".join(lines), encoding="utf-8")
    (top / "sceneCategories.txt").write_text("".join(categories), encoding="utf-8")
    return sum(numbers.values())
