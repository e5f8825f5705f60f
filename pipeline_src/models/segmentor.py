"""Semantic segmentation: a feature pyramid, a decoder, and logits at the size of the image."""

from torch import Tensor, nn

from pipeline_src.models.layers import resize_bilinear
from pipeline_src.models.pyramid import FeaturePyramid


class SegmentationModel(nn.Module):
    """`decoder` maps the maps of `pyramid` to logits, which are upsampled bilinearly to the image."""

    def __init__(self, pyramid: FeaturePyramid, decoder: nn.Module) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)` of normalised `images` `(N, 3, H, W)`."""
        features = self.pyramid(images)
        logits = self.decoder(features)
        return resize_bilinear(logits, (images.shape[-2], images.shape[-1]))
