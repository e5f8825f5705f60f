"""What the training transforms of images with boxes are told. No torch."""

from dataclasses import dataclass

from pipeline_src.options import REQUIRED, Fraction, Pair, option


@dataclass(frozen=True)
class DetectionAugment:
    """Training transforms of images with boxes, in this order."""

    scales: list[Pair] = option(
        REQUIRED,
        "Long and short side that an image is fitted into with its aspect kept; of several, one "
        "is drawn for each image.",
        min_length=1,
    )
    flip: Fraction = option(0.5, "Probability of a horizontal flip.")
    group_by_aspect: bool = option(
        True, "Batches of images that are all upright or all lying, to save padding."
    )
    difficult: bool = option(False, "Learn objects that VOC marks as difficult, too.")

    def __post_init__(self) -> None:
        for scale in self.scales:
            if scale[0] < scale[1]:
                raise ValueError(f"scales {scale}: the long side comes first")

    @property
    def size(self) -> list[int]:
        """Height and width of a lying training image, of the last of several scales."""
        return self.scales[-1][::-1]
