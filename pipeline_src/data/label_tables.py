"""Class tables of public data sets whose masks do not number the classes 0, 1, 2: names and mask ids.

Facts of the data sets, as their own label lists state them. A reader makes of a table the parameters
`class_ids` and `ignored_ids` of the manifest job, and there a lookup table (`data/labels.py`) that maps
every mask id on its own. So ADE20K's "reduce zero label" needs no guard for what a subtraction in
8-bit arithmetic would make of 255 (MMSegmentation sets 254 back to 255). Standard library only.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CityscapesClass:
    """A class that Cityscapes evaluates: its name, `labelIds` id, display colour (RGB), and whether its
    objects are told apart in `instanceIds`.
    """

    name: str
    label_id: int
    colour: tuple[int, int, int]
    has_instances: bool = False


_ADE20K_NAMES = (
    "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, "
    "earth, door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, "
    "mirror, rug, field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, "
    "box, column, signboard, chest of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, "
    "grandstand, path, stairs, runway, case, pool table, pillow, screen door, stairway, river, bridge, "
    "bookcase, blind, coffee table, toilet, flower, book, hill, bench, countertop, stove, palm, "
    "kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, "
    "tower, chandelier, awning, streetlight, booth, television, airplane, dirt track, apparel, pole, land, "
    "bannister, escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, "
    "canopy, washer, plaything, swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, "
    "cradle, oven, ball, food, step, tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, "
    "screen, blanket, sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, crt screen, "
    "plate, monitor, bulletin board, shower, radiator, glass, clock, flag"
)
ADE20K_CLASSES = tuple(_ADE20K_NAMES.split(", "))
"""The first name of each of SceneParse150's classes, in the order of its objectInfo150.txt."""

CITYSCAPES_CLASSES = (
    CityscapesClass("road", 7, (128, 64, 128)),
    CityscapesClass("sidewalk", 8, (244, 35, 232)),
    CityscapesClass("building", 11, (70, 70, 70)),
    CityscapesClass("wall", 12, (102, 102, 156)),
    CityscapesClass("fence", 13, (190, 153, 153)),
    CityscapesClass("pole", 17, (153, 153, 153)),
    CityscapesClass("traffic light", 19, (250, 170, 30)),
    CityscapesClass("traffic sign", 20, (220, 220, 0)),
    CityscapesClass("vegetation", 21, (107, 142, 35)),
    CityscapesClass("terrain", 22, (152, 251, 152)),
    CityscapesClass("sky", 23, (70, 130, 180)),
    CityscapesClass("person", 24, (220, 20, 60), has_instances=True),
    CityscapesClass("rider", 25, (255, 0, 0), has_instances=True),
    CityscapesClass("car", 26, (0, 0, 142), has_instances=True),
    CityscapesClass("truck", 27, (0, 0, 70), has_instances=True),
    CityscapesClass("bus", 28, (0, 60, 100), has_instances=True),
    CityscapesClass("train", 31, (0, 80, 100), has_instances=True),
    CityscapesClass("motorcycle", 32, (0, 0, 230), has_instances=True),
    CityscapesClass("bicycle", 33, (119, 11, 32), has_instances=True),
)
"""The classes by train id. Everything else up to `CITYSCAPES_LAST_ID` is ignored in the evaluation."""

CITYSCAPES_LAST_ID = 33

CITYSCAPES_INSTANCE_IDS = range(24, CITYSCAPES_LAST_ID + 1)
"""Label ids whose objects are told apart: those of the eight classes, and caravan (29) and trailer (30)."""
