"""The `datasets` section: what the data sets are and how they are split; here those with masks."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline_src.config import detection_data
from pipeline_src.config.base import PositiveInt, Section
from pipeline_src.config.sources import FolderSource, Source


class VocSplit(Section):
    """A split of VOC2012."""

    set: Literal["train", "trainval", "trainaug", "val"] = Field(
        description="Image set; `trainaug` adds the masks of SBD."
    )
    limit: PositiveInt | None = Field(
        default=None, description="Use only so many images (a seeded choice); null: all."
    )


class VocDataset(Section):
    """VOC2012 segmentation in the layout of the official archive."""

    format: Literal["voc2012"] = Field(description="VOCdevkit/VOC2012 layout.")
    source: Source = Field(description="Where the files come from.")
    splits: dict[Literal["train", "val"], VocSplit] = Field(
        description="Image sets to train and evaluate on."
    )
    classes: Annotated[list[str], Field(min_length=2)] | None = Field(
        default=None, description="Class names by mask id; null: VOC's 21."
    )
    ignore_index: Annotated[int, Field(ge=0, le=255)] = Field(
        default=255, description="Mask id that is neither trained nor evaluated on."
    )


class Ade20kSplit(Section):
    """A split of ADE20K."""

    set: Literal["training", "validation"] = Field(description="Image set: a folder of the archive.")
    limit: PositiveInt | None = Field(
        default=None, description="Use only so many images (a seeded choice); null: all."
    )


class Ade20kDataset(Section):
    """ADE20K's scene parsing benchmark (SceneParse150) in the layout of the official archive."""

    format: Literal["ade20k"] = Field(description="ADEChallengeData2016 layout; mask id 0 is unlabelled.")
    source: Source = Field(description="Where the files come from.")
    splits: dict[Literal["train", "val"], Ade20kSplit] = Field(
        description="Image sets to train and evaluate on."
    )
    classes: Annotated[list[str], Field(min_length=2, max_length=150)] | None = Field(
        default=None, description="Class names of the mask ids from 1 on; null: ADE20K's 150."
    )


class CityscapesSplit(Section):
    """A split of Cityscapes."""

    set: Literal["train", "val"] = Field(description="Image set: a folder of both archives.")
    limit: PositiveInt | None = Field(
        default=None, description="Use only so many images (a seeded choice); null: all."
    )


class CityscapesDataset(Section):
    """Cityscapes with fine annotations, in the layout of the official archives; 19 classes."""

    format: Literal["cityscapes"] = Field(description="leftImg8bit and gtFine; masks are `labelIds`.")
    source: Source = Field(description="Where the files come from.")
    splits: dict[Literal["train", "val"], CityscapesSplit] = Field(
        description="Image sets to train and evaluate on."
    )


class MaskSplit(Section):
    """A split of a folder of images and masks, as paths below `source.root`."""

    images: str = Field(description="Folder of the images.")
    masks: str = Field(description="Folder of the index masks (PNG), one per image, with the same stem.")
    list: str | None = Field(
        default=None, description="Text file with one image stem or file name a line; null: the whole folder."
    )
    limit: PositiveInt | None = Field(
        default=None, description="Use only so many images (a seeded choice); null: all."
    )


class MasksDataset(Section):
    """Your own images and index masks."""

    format: Literal["masks"] = Field(description="Folders of images and index masks.")
    source: FolderSource = Field(description="The folder that holds them.")
    splits: dict[Literal["train", "val"], MaskSplit] = Field(description="Folders of both splits.")
    classes: Annotated[list[str], Field(min_length=2)] = Field(description="Class names by mask id.")
    ignore_index: Annotated[int, Field(ge=0, le=255)] = Field(
        default=255, description="Mask id that is neither trained nor evaluated on."
    )
    mask_suffix: str = Field(
        default="", description="What a mask's stem has after the image's, such as `_L`."
    )


Dataset = Annotated[
    VocDataset | Ade20kDataset | CityscapesDataset | MasksDataset | detection_data.DetectionDataset,
    Field(discriminator="format"),
]
Split = VocSplit | Ade20kSplit | CityscapesSplit | MaskSplit | detection_data.DetectionSplit

SCENE_SPLITS = {
    "voc2012": ("train", "val", "aug"),
    "ade20k": ("train", "val"),
    "cityscapes": ("train", "val"),
    **detection_data.DETECTION_SCENE_SPLITS,
}
"""Splits that scenes can be written for, by format; `aug` is what `trainaug` adds."""

SCENE_CLASSES = 20
"""Object classes that the scene generator can draw."""

VOC_CLASSES = [
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
]  # fmt: skip
