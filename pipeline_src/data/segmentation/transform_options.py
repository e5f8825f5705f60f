"""What the training transforms of images with masks are told. No torch."""

from dataclasses import dataclass

from pipeline_src.options import REQUIRED, Fraction, Pair, PositiveFloat, option


@dataclass(frozen=True)
class RandomResize:
    """Random resizing that keeps the aspect ratio."""

    ratio: list[PositiveFloat] = option(REQUIRED, "Smallest and largest factor.", min_length=2, max_length=2)
    scale: Pair | None = option(
        None,
        "Long and short side that the image is fitted into, times the factor; "
        "null: the factor applies to the image's own size.",
    )

    def __post_init__(self) -> None:
        if self.ratio[0] > self.ratio[1]:
            raise ValueError(f"ratio {self.ratio}: the smallest comes first")
        if self.scale and self.scale[0] < self.scale[1]:
            raise ValueError(f"scale {self.scale}: the long side comes first")


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Training transforms, in this order."""

    resize: RandomResize | None = option(None, "Random resizing; null: none.")
    crop: Pair = option(REQUIRED, "Height and width of the random crop; smaller images are padded.")
    max_class_share: Fraction | None = option(
        None,
        "The crop is drawn again, up to 10 times, until two classes are in it and the largest "
        "has less than this share of the labelled pixels; null: any crop.",
    )
    flip: Fraction = option(0.5, "Probability of a horizontal flip.")
    photometric: bool = option(
        False, "Random brightness, contrast, saturation and hue, by MMSegmentation's amounts."
    )

    @property
    def size(self) -> list[int]:
        """Height and width of a training image."""
        return self.crop
