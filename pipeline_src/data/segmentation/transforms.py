"""Image and mask to training sample: a sequence of steps, each drawing its parameters from one generator.

A step takes and returns a `Sample`; what it draws is a small function of the generator, so that a
sample depends on its seed alone and each step can be tested by its parameters. Geometry goes
through torchvision. The order is MMSegmentation's: resize, crop, flip, photometric distortion, normalise,
pad; padding comes last, so that it is 0 in the normalised image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from pipeline_src.data.read_manifest import IGNORE_INDEX
from pipeline_src.data.resize_normalise import normalise, resize_image
from pipeline_src.data.segmentation.photometric import DistortionRange, distort

if TYPE_CHECKING:
    from pipeline_src.data.segmentation.transform_options import Augment

CROP_REDRAWS = 10
"""How often a crop with too large a class is drawn again (MMSegmentation's number)."""


@dataclass(frozen=True)
class Sample:
    """`image` `(3, H, W)`, uint8 RGB until it is normalised, then float32; `mask` `(H, W)` uint8."""

    image: Tensor
    mask: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.mask.shape[-2], self.mask.shape[-1]


class Transform(Protocol):
    """One transformation; everything random comes from `rng`."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The transformed sample."""
        ...


@dataclass(frozen=True)
class RandomResize:
    """Resize by a factor drawn uniformly from `ratio`, keeping the aspect: bilinear, no antialias.

    With `scale` (long side, short side), the image is fitted into factor x scale (`fitted_size`);
    without, the factor applies to the image's own size.

    The mask takes the label under each new pixel's centre, which is where bilinear interpolation
    puts the image's; torch's plain `nearest` would shift it by up to half a pixel.
    """

    ratio: tuple[float, float]
    scale: tuple[int, int] | None = None

    def draw(self, rng: np.random.Generator) -> float:
        """The factor."""
        return float(rng.uniform(*self.ratio))

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Apply with a drawn factor."""
        factor = self.draw(rng)
        if self.scale is None:
            return resize(sample, factor)
        return resize_to(sample, fitted_size(sample.size, self.scale, factor))


@dataclass(frozen=True)
class RandomCrop:
    """Cut out `size` (height, width) at a uniformly drawn place; an axis that is shorter stays whole.

    With `max_class_share`, a crop is drawn again while it is not `varied`, up to `CROP_REDRAWS` times;
    the last one is taken as it is.
    """

    size: tuple[int, int]
    max_class_share: float | None = None

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
        """Top and left of the crop within an image of `size`."""
        top = int(rng.integers(max(0, size[0] - self.size[0]) + 1))
        left = int(rng.integers(max(0, size[1] - self.size[1]) + 1))
        return top, left

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Apply at a drawn place."""
        cut = crop(sample, *self.draw(sample.size, rng), *self.size)
        if self.max_class_share is not None:
            for _ in range(CROP_REDRAWS):
                if varied(cut.mask, self.max_class_share):
                    break
                cut = crop(sample, *self.draw(sample.size, rng), *self.size)
        return cut


@dataclass(frozen=True)
class RandomFlip:
    """Mirror left and right with the given probability."""

    probability: float

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Apply if drawn."""
        return flip(sample) if rng.random() < self.probability else sample


@dataclass(frozen=True)
class PhotometricDistortion:
    """Change brightness, contrast, saturation and hue by drawn amounts; the mask stays."""

    amounts: DistortionRange = field(default_factory=DistortionRange)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Apply with drawn amounts."""
        distorted = distort(sample.image.numpy(), self.amounts.draw(rng))
        return Sample(torch.from_numpy(distorted), sample.mask)


@dataclass(frozen=True)
class Normalise:
    """`(image / 255 - mean) / std` per channel, as float32; draws nothing."""

    mean: Sequence[float]
    std: Sequence[float]

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        """Apply."""
        return Sample(normalise(sample.image, self.mean, self.std), sample.mask)


@dataclass(frozen=True)
class PadTo:
    """Extend to at least `size` (height, width) at the bottom and right: image 0, mask 255."""

    size: tuple[int, int]

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        """Apply."""
        below, right = (max(0, want - have) for want, have in zip(self.size, sample.size))
        if not below and not right:
            return sample
        padding = [0, 0, right, below]
        return Sample(
            F.pad(sample.image, padding, fill=0), F.pad(sample.mask[None], padding, fill=IGNORE_INDEX)[0]
        )


@dataclass(frozen=True)
class TrainTransform:
    """The steps of a recipe's `augment` section, in order."""

    steps: tuple[Transform, ...]

    @classmethod
    def of(cls, augment: "Augment", mean: Sequence[float], std: Sequence[float]) -> "TrainTransform":
        """From a recipe's options and the backbone's normalisation."""
        size = (augment.crop[0], augment.crop[1])
        steps: list[Transform] = []
        if augment.resize:
            (low, high), scale = augment.resize.ratio, augment.resize.scale
            steps.append(RandomResize((low, high), (scale[0], scale[1]) if scale else None))
        steps.append(RandomCrop(size, augment.max_class_share))
        if augment.flip:
            steps.append(RandomFlip(augment.flip))
        if augment.photometric:
            steps.append(PhotometricDistortion())
        steps += [Normalise(mean, std), PadTo(size)]
        return cls(tuple(steps))

    def __call__(self, image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Image uint8 `(3, H, W)` and mask uint8 `(H, W)` to float32 `(3, h, w)` and int64 `(h, w)`."""
        sample = Sample(image, mask)
        for step in self.steps:
            sample = step(sample, rng)
        return sample.image.contiguous(), sample.mask.to(torch.int64)


@dataclass(frozen=True)
class EvalTransform:
    """Normalise, and nothing else: accuracy is measured at the original size."""

    normalise: Normalise

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> "EvalTransform":
        """With the backbone's normalisation."""
        return cls(Normalise(mean, std))

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Image uint8 `(3, H, W)` to float32; the mask uint8 `(H, W)` stays."""
        sample = self.normalise(Sample(image, mask))
        return sample.image, sample.mask


# --- geometry by explicit parameters -------------------------------------------------------------


def fitted_size(size: tuple[int, int], scale: tuple[int, int], factor: float = 1.0) -> tuple[int, int]:
    """The largest (height, width) with the aspect of `size` whose long and short side fit into
    factor x `scale` (long side, short side); halves round up, as in mmcv, and no side is below 1.
    """
    fit = min(scale[0] * factor / max(size), scale[1] * factor / min(size))
    return max(1, int(size[0] * fit + 0.5)), max(1, int(size[1] * fit + 0.5))


def resize(sample: Sample, factor: float) -> Sample:
    """Resize both axes by `factor`, to at least one pixel."""
    height, width = (max(1, round(length * factor)) for length in sample.size)
    return resize_to(sample, (height, width))


def resize_to(sample: Sample, size: tuple[int, int]) -> Sample:
    """Resize to `size` (height, width)."""
    mask = F.resize(sample.mask[None], list(size), InterpolationMode.NEAREST_EXACT)[0]
    return Sample(resize_image(sample.image, size), mask)


def crop(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut out a window, shortened where it reaches over the image's end."""
    height, width = min(height, sample.size[0] - top), min(width, sample.size[1] - left)
    return Sample(
        F.crop(sample.image, top, left, height, width), F.crop(sample.mask, top, left, height, width)
    )


def varied(mask: Tensor, max_class_share: float) -> bool:
    """Whether `mask` `(H, W)` shows two classes or more, the largest with less than `max_class_share`
    of the labelled pixels.
    """
    counts = np.bincount(mask.numpy().ravel(), minlength=256)
    counts[IGNORE_INDEX] = 0
    return bool(np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < max_class_share)


def flip(sample: Sample) -> Sample:
    """Mirror left and right."""
    return Sample(F.horizontal_flip(sample.image), F.horizontal_flip(sample.mask))
