"""What is said of each task, in messages and below tables. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """A task in words.

    `annotations` are what its data has, `network` what learns from them, `sizes` what its training transforms
    have to say. `scores` and `flops` are added to what a table says of its data and of that column; empty for
    nothing.
    """

    annotations: str
    network: str
    sizes: str
    scores: str = ""
    flops: str = ""


WORDS = {
    "segmentation": Words(annotations="masks", network="a decoder", sizes="a crop"),
    "detection": Words(
        annotations="boxes",
        network="a detector",
        sizes="scales",
        scores="boxes in pixels of the original image",
        flops="padded to a multiple of 32, with 1,000 proposals where there are proposals",
    ),
    "instances": Words(
        annotations="outlined objects",
        network="Mask R-CNN",
        sizes="scales",
        scores="boxes and masks in pixels of the original image",
        flops="padded to a multiple of 32, with 1,000 proposals, and masks of as many detections as are kept",
    ),
}
"""By the name of the task."""
