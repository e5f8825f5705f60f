"""Writes scenes in the layouts of PASCAL VOC2007 and VOC2012 for detection, for the real reader to read.

`VOCdevkit/VOC<year>` with JPEGImages, Annotations and ImageSets/Main. As in the archives, 2007 has `trainval`
(with its halves `train` and `val`) and `test`, and numbers its images through; 2012 has `trainval`.
"""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from pipeline_src.data.scenes.scene import Scene
from pipeline_src.data.scenes.voc_parts import annotation, presence, write_class_lists, write_list
from pipeline_src.errors import InputError

SETS = {"train": ("2007", "trainval"), "val": ("2007", "test"), "extra": ("2012", "trainval")}
"""Year and image set, by split; `extra` is what "07+12" adds."""

JPEG_QUALITY = 95


def write_voc_detection(scenes: Iterable[Scene], root: Path) -> int:
    """Write scenes of the splits `train`, `val` and `extra` below `root`; returns how many there were.

    Class ids 1..20 get VOC's names in order. A crowd, which VOC cannot express, becomes one
    difficult object. Raises `InputError` for another split.
    """
    sets: dict[tuple[str, str], list[str]] = {}
    present: dict[str, dict[int, bool]] = {}
    numbers = {"2007": 0, "2012": 0}
    for scene in scenes:
        if scene.split not in SETS:
            raise InputError(f"images: VOC's layout has no split {scene.split!r}; use {', '.join(SETS)}")
        year, name = SETS[scene.split]
        folder = _make(root, year)
        numbers[year] += 1
        key = f"{numbers[year]:06d}" if year == "2007" else f"2008_{numbers[year]:06d}"
        image = Image.fromarray(scene.image)
        image.save(folder / "JPEGImages" / f"{key}.jpg", quality=JPEG_QUALITY, subsampling=0)
        tree = annotation(scene, key, f"VOC{year}", segmented=False, occluded=year == "2012")
        tree.write(folder / "Annotations" / f"{key}.xml", encoding="utf-8")
        sets.setdefault((year, name), []).append(key)
        present[key] = presence(scene)
    for (year, name), ids in sets.items():
        main = _make(root, year) / "ImageSets" / "Main"
        parts = {name: ids}
        if name == "trainval":
            parts |= {"train": ids[::2], "val": ids[1::2]}
        for part, keys in parts.items():
            write_list(main / f"{part}.txt", sorted(keys))
            write_class_lists(part, sorted(keys), present, main)
    return len(present)


def _make(root: Path, year: str) -> Path:
    folder = root / "VOCdevkit" / f"VOC{year}"
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    return folder
