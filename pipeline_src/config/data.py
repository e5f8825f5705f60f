"""The `datasets` section: where images and masks come from and how they are split."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline_src.config.base import NonNegativeInt, Pair, PositiveInt, Section


class ArchivesSource(Section):
    """Downloaded archives, named as in `data/archives.csv`."""

    kind: Literal["archives"] = Field(description="Fetched, verified and extracted by the pipeline.")
    names: Annotated[list[str], Field(min_length=1)] = Field(description="Archives that the data set needs.")


class SizeRange(Section):
    """Image sizes drawn between two corners."""

    min: Pair = Field(description="Smallest width and height, in pixels.")
    max: Pair = Field(description="Largest width and height, in pixels.")

    @model_validator(mode="after")
    def _in_order(self) -> "SizeRange":
        if self.min[0] > self.max[0] or self.min[1] > self.max[1]:
            raise ValueError(f"min {self.min} is larger than max {self.max}")
        return self


class ScenesSource(Section):
    """Generated scenes, written in the on-disk layout of `format`."""

    kind: Literal["scenes"] = Field(description="Drawn by the scene generator.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the generator.")
    images: dict[str, PositiveInt] = Field(description="Number of images of each split.")
    size: Pair | SizeRange = Field(description="Width and height in pixels, fixed or a range.")
    classes: PositiveInt = Field(default=20, description="Number of object classes, without background.")
    objects: Pair = Field(default=[1, 6], description="Fewest and most objects of an image.")

    @model_validator(mode="after")
    def _in_order(self) -> "ScenesSource":
        if self.objects[0] > self.objects[1]:
            raise ValueError(f"objects {self.objects}: the fewest come first")
        return self


class FolderSource(Section):
    """A folder that the user owns; it is read where it is and never written to."""

    kind: Literal["folder"] = Field(description="Your own folder.")
    root: str = Field(description="The folder; `~` and `$VARIABLE` are expanded.")


Source = Annotated[ArchivesSource | ScenesSource | FolderSource, Field(discriminator="kind")]


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
    VocDataset | Ade20kDataset | CityscapesDataset | MasksDataset, Field(discriminator="format")
]
Split = VocSplit | Ade20kSplit | CityscapesSplit | MaskSplit

SCENE_SPLITS = {
    "voc2012": ("train", "val", "aug"),
    "ade20k": ("train", "val"),
    "cityscapes": ("train", "val"),
}
"""Splits that scenes can be written for, by format; `aug` is what `trainaug` adds."""

SCENE_CLASSES = 20
"""Object classes that the scene generator can draw."""

VOC_CLASSES = [
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
]  # fmt: skip
