"""Readers of COCO's annotations with the outlines of the objects. Standard library only."""

from dataclasses import replace
from functools import partial

from pipeline_src.data.readers.coco import CocoJsonReader, CocoReader, read_coco, read_coco_json


class CocoInstancesReader(CocoReader):
    """COCO 2017 with outlines: polygons, and run lengths of crowds."""

    task = "instances"
    server = replace(CocoReader.server, name="coco_segm", archive="segm_{list}_{name}_results.zip")
    read = staticmethod(partial(read_coco, outlines=True))


class CocoJsonInstancesReader(CocoJsonReader):
    """A user's own annotation files in COCO's JSON format, with a segmentation for every object."""

    task = "instances"
    read = staticmethod(partial(read_coco_json, outlines=True))
