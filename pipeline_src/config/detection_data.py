"""Detection entries of the `datasets` section: images and boxes, of COCO, VOC, or the user's own."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline_src.config.base import PositiveInt, Section
from pipeline_src.config.sources import FolderSource, Source

Classes = Annotated[list[str], Field(min_length=1)]
Limit = Annotated[
    PositiveInt | None, Field(description="Use only so many images (a seeded choice); null: all.")
]
VocSet = Annotated[str, Field(pattern="^(2007|2012)/(train|val|trainval|test)$")]


class CocoSplit(Section):
    """A split of COCO."""

    set: Literal["train2017", "val2017"] = Field(description="Image set: a folder and an annotation file.")
    limit: Limit = None


class CocoDataset(Section):
    """COCO 2017 detection in the layout of the official archives; 80 classes."""

    format: Literal["coco"] = Field(description="annotations/instances_<set>.json and a folder for each set.")
    source: Source = Field(description="Where the files come from.")
    splits: dict[Literal["train", "val"], CocoSplit] = Field(
        description="Image sets to train and evaluate on."
    )
    classes: Classes | None = Field(
        default=None, description="Names in order of their labels; null: COCO's 80."
    )


class CocoJsonSplit(Section):
    """A split of your own data, as paths below `source.root`."""

    images: str = Field(description="Folder that the file names of the annotations start from.")
    annotations: str = Field(description="Annotation file in COCO's JSON format.")
    limit: Limit = None


class CocoJsonDataset(Section):
    """Your own images and boxes, annotated in COCO's JSON format."""

    format: Literal["coco_json"] = Field(description="One JSON file and one image folder for each split.")
    source: FolderSource = Field(description="The folder that holds them.")
    splits: dict[Literal["train", "val"], CocoJsonSplit] = Field(description="Files of both splits.")
    classes: Classes = Field(description="Names of the categories, in order of their labels.")


class VocDetectionSplit(Section):
    """A split of VOC detection."""

    sets: Annotated[list[VocSet], Field(min_length=1)] = Field(
        description="Image sets, joined, such as [2007/trainval, 2012/trainval]."
    )
    limit: Limit = None


class VocDetectionDataset(Section):
    """VOC2007 and VOC2012 detection in the layout of the official archives; 20 classes."""

    format: Literal["voc_detection"] = Field(description="VOCdevkit/VOC<year> with ImageSets/Main.")
    source: Source = Field(description="Where the files come from.")
    splits: dict[Literal["train", "val"], VocDetectionSplit] = Field(
        description="Image sets to train and evaluate on."
    )
    classes: Classes | None = Field(
        default=None, description="Names in order of their labels; null: VOC's 20."
    )


class VocXmlSplit(Section):
    """A split of your own data, as paths below `source.root`."""

    images: str = Field(description="Folder of the images.")
    annotations: str = Field(description="Folder of the XML files, one per image, with the same stem.")
    list: str | None = Field(
        default=None, description="Text file with one image stem a line; null: the whole folder."
    )
    boxes: Literal["pixels", "borders"] = Field(
        default="pixels",
        description="How boxes count: `pixels` as VOC, from 1 and with the last one; `borders` from 0.",
    )
    limit: Limit = None


class VocXmlDataset(Section):
    """Your own images and boxes, annotated in VOC's XML format."""

    format: Literal["voc_xml"] = Field(description="A folder of images and one of XML files.")
    source: FolderSource = Field(description="The folder that holds them.")
    splits: dict[Literal["train", "val"], VocXmlSplit] = Field(description="Folders of both splits.")
    classes: Classes = Field(description="Names of the objects, in order of their labels.")


DetectionDataset = CocoDataset | CocoJsonDataset | VocDetectionDataset | VocXmlDataset
DetectionSplit = CocoSplit | CocoJsonSplit | VocDetectionSplit | VocXmlSplit

DETECTION_SCENE_SPLITS = {"coco": ("train", "val"), "voc_detection": ("train", "val", "extra")}
"""Splits that scenes can be written for, by format; `extra` is VOC2012's trainval, which "07+12" adds."""
