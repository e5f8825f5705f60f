"""Writes scenes in the layout of Cityscapes' fine annotations, so that the real reader reads them.

`leftImg8bit/<split>/<city>/<id>_leftImg8bit.png` and, below `gtFine`, three PNG files for every image:
`labelIds`, `instanceIds` (16 bits) and `color`. A file's id is `<city>_<sequence>_<frame>`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_src.data.label_tables import CITYSCAPES_CLASSES, CityscapesClass
from pipeline_src.data.scenes.scene import Scene
from pipeline_src.errors import InputError

CITIES = {"train": ("firsttown", "secondtown"), "val": ("thirdtown",)}
"""Made-up cities by split; a split's scenes are dealt to its cities in turn."""

FRAME = 19
"""Cityscapes annotates the twentieth frame of a sequence."""

UNLABELLED = 0
INSTANCES_PER_CLASS = 1000


def write_cityscapes(
    scenes: Iterable[Scene], root: Path, classes: Sequence[CityscapesClass] = CITYSCAPES_CLASSES
) -> int:
    """Write scenes of the splits `train` and `val` below `root`; returns how many there were.

    The background becomes the first of `classes`, object class c the c-th behind it, void pixels id 0.
    Objects of the classes person to bicycle get an instance id each (class id * 1000 + number, from 0); a
    crowd is a group, whose pixels carry the plain class id, as everything else does.

    Raises `InputError` for another split and for an object class that `classes` do not have.
    """
    numbers = dict.fromkeys(CITIES, 0)
    for scene in scenes:
        if scene.split not in CITIES:
            raise InputError(
                f"images: Cityscapes' layout has no split {scene.split!r}; use {', '.join(CITIES)}"
            )
        if (highest := int(scene.labels.max())) >= len(classes):
            raise InputError(
                f"classes: scene {scene.id} has object class {highest}; Cityscapes has {len(classes) - 1} "
                "beside the background"
            )
        cities = CITIES[scene.split]
        sequence, turn = divmod(numbers[scene.split], len(cities))
        numbers[scene.split] += 1
        name = f"{cities[turn]}_{sequence:06d}_{FRAME:06d}"
        _write(scene, root / "leftImg8bit", root / "gtFine", cities[turn], name, classes)
    return sum(numbers.values())


def write_cityscapes_instances(scenes: Iterable[Scene], root: Path) -> int:
    """The same with object class c as the c-th of the classes whose objects are told apart."""
    return write_cityscapes(
        scenes, root, [CITYSCAPES_CLASSES[0], *(one for one in CITYSCAPES_CLASSES if one.has_instances)]
    )


def _write(
    scene: Scene, images: Path, masks: Path, city: str, name: str, classes: Sequence[CityscapesClass]
) -> None:
    images, masks = (folder / scene.split / city for folder in (images, masks))
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    ids = np.array([item.label_id for item in classes], dtype=np.uint8)
    colours = np.array([(*item.colour, 255) for item in classes], dtype=np.uint8)
    colour = np.where(scene.void[..., None], np.array([0, 0, 0, 255], dtype=np.uint8), colours[scene.labels])
    labels = np.where(scene.void, UNLABELLED, ids[scene.labels]).astype(np.uint8)
    Image.fromarray(scene.image).save(images / f"{name}_leftImg8bit.png")
    Image.fromarray(labels).save(masks / f"{name}_gtFine_labelIds.png")
    Image.fromarray(_instance_ids(scene, labels, classes)).save(masks / f"{name}_gtFine_instanceIds.png")
    Image.fromarray(colour).save(masks / f"{name}_gtFine_color.png")


def _instance_ids(
    scene: Scene, labels: NDArray[np.uint8], classes: Sequence[CityscapesClass]
) -> NDArray[np.uint16]:
    """Ids of objects where they are told apart, label ids elsewhere, `(H, W)`."""
    found = labels.astype(np.uint16)
    numbers: dict[int, int] = {}
    for item in scene.objects:
        known = classes[item.label]
        seen = (scene.instances == item.instance) & ~scene.void
        if item.crowd or not known.has_instances or not seen.any():
            continue
        number = numbers.get(known.label_id, 0)
        numbers[known.label_id] = number + 1
        found[seen] = known.label_id * INSTANCES_PER_CLASS + number
    return found
