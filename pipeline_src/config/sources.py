"""Where the files of a data set come from: archives, generated scenes, a folder of the user's own."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline_src.config.strict_model import Section
from pipeline_src.options import Fraction, NonNegativeInt, Pair, PositiveInt


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
    shares: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2, max_length=2)] | None = (
        Field(
            default=None,
            description="Smallest and largest share of the image that an object covers; null: from 36 pixels "
            "to three tenths of the image.",
        )
    )
    crowds: Fraction = Field(default=0.12, description="Probability that an object is a crowd of small ones.")

    @model_validator(mode="after")
    def _in_order(self) -> "ScenesSource":
        if self.objects[0] > self.objects[1]:
            raise ValueError(f"objects {self.objects}: the fewest come first")
        if self.shares and self.shares[0] > self.shares[1]:
            raise ValueError(f"shares {self.shares}: the smallest comes first")
        return self


class FolderSource(Section):
    """A folder that the user owns; it is read where it is and never written to."""

    kind: Literal["folder"] = Field(description="Your own folder.")
    root: str = Field(description="The folder; `~` and `$VARIABLE` are expanded.")


Source = Annotated[ArchivesSource | ScenesSource | FolderSource, Field(discriminator="kind")]
