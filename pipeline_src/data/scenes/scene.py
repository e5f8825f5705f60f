"""A generated scene, free of any data set's layout: pixels, class and instance maps, object facts.

Writers turn scenes into the files of a layout (`scenes/voc2012.py`); what a layout cannot say, such
as a crowd in VOC, is the writer's choice, so every fact that some layout wants is kept here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SceneObject:
    """One instance, or one crowd: several small objects of a class that share an instance id.

    `box` is `(x0, y0, x1, y1)` around the visible pixels, half-open. `visible` is the share of the
    object that neither lies outside the image nor is covered. `truncated`: cut by the image's edge;
    `occluded`: covered in part; `difficult`: too little is seen for a detector to be blamed.
    """

    instance: int
    label: int
    box: tuple[int, int, int, int]
    area: int
    visible: float
    truncated: bool
    occluded: bool
    difficult: bool
    crowd: bool


@dataclass(frozen=True)
class Scene:
    """Image `(H, W, 3)` uint8 RGB; class map `(H, W)` uint8; instance map `(H, W)` uint16.

    The class map holds 0 for background and `object.label` (from 1) elsewhere, the instance map 0
    and `object.instance` (from 1, without gaps). `void` `(H, W)` bool marks pixels whose label is
    not to be trusted: a band around every object, and remains too small to name. Class and instance
    maps are complete below it, so that a layout without void can ignore it.
    """

    id: str
    split: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    void: NDArray[np.bool_]
    objects: tuple[SceneObject, ...]


def contour_band(instances: NDArray[np.uint16], width: int) -> NDArray[np.bool_]:
    """Pixels within `width` pixels (in rows and columns) of a pixel of another instance, `(H, W)`."""
    band = np.zeros(instances.shape, dtype=bool)
    across = instances[:, 1:] != instances[:, :-1]
    down = instances[1:, :] != instances[:-1, :]
    band[:, 1:] |= across
    band[:, :-1] |= across
    band[1:, :] |= down
    band[:-1, :] |= down
    for _ in range(width - 1):
        grown = band.copy()
        grown[:, 1:] |= band[:, :-1]
        grown[:, :-1] |= band[:, 1:]
        grown[1:, :] |= band[:-1, :]
        grown[:-1, :] |= band[1:, :]
        band = grown
    return band
