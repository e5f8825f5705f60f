"""Semantic segmentation: a feature pyramid, a decoder and perhaps an auxiliary head; image-sized logits."""

from torch import Tensor, nn

from pipeline_src.models.blocks import resize_bilinear
from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.pyramid import FeaturePyramid


class SegmentationModel(nn.Module):
    """`decoder` maps the maps of its `levels` of `pyramid` to logits, upsampled bilinearly to the image.

    `auxiliary` is a second head on `auxiliary_levels` that exists for its loss alone (Zhao et al.,
    PSPNet, section 3.3): it runs in training mode only. Every head gets exactly the maps of its levels.
    """

    def __init__(
        self,
        pyramid: FeaturePyramid,
        decoder: DecodeHead,
        levels: list[int],
        auxiliary: DecodeHead | None = None,
        auxiliary_levels: list[int] | None = None,
    ) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.decoder = decoder
        self.levels = list(levels)
        self.auxiliary = auxiliary
        self.auxiliary_levels = list(auxiliary_levels or [])

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits `(N, num_classes, H, W)` of normalised `images` `(N, 3, H, W)`.

        In training mode with an auxiliary head a pair, of the decoder's logits and those of that head.
        """
        size = (images.shape[-2], images.shape[-1])
        features = dict(zip(self.pyramid.levels, self.pyramid(images), strict=True))
        logits = _logits(self.decoder, [features[level] for level in self.levels], size)
        if self.auxiliary is None or not self.training:
            return logits
        inner = [features[level] for level in self.auxiliary_levels]
        return logits, _logits(self.auxiliary, inner, size)


def _logits(head: DecodeHead, features: list[Tensor], size: tuple[int, int]) -> Tensor:
    return resize_bilinear(head(features), size, head.align_corners)
