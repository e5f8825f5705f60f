"""MobileNetV2 at output stride 8, 16 or 32; `pad_type: same` in `args` gives TensorFlow's padding.

Segments: stem, then the seven block groups of the paper; levels 1 to 5 end after groups 0, 1, 2, 4 and 6.
"""

from typing import Any

from timm.models import EfficientNet
from torch import Tensor

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.segments import Segment
from pipeline_src.models.backbones.staged_backbone import StagedBackbone

GROUP_FACTORS = (1, 2, 2, 2, 1, 2, 1)
"""Down-sampling of each block group (Sandler et al. 2018, Table 2)."""


class MobileNetV2Pyramid(StagedBackbone):
    """timm's MobileNetV2 up to the last block group; the 1x1 convolution before its classifier is head."""

    network_class = EfficientNet
    architectures = ("mobilenetv2_050", "mobilenetv2_100")
    freezable = (
        ("conv_stem", "bn1", "blocks.0"),
        ("blocks.1",),
        ("blocks.2",),
        ("blocks.3", "blocks.4"),
        ("blocks.5", "blocks.6"),
    )

    def _divide(self, output_stride: int) -> list[Segment]:
        net: Any = self.net
        if len(net.blocks) != len(GROUP_FACTORS):
            raise InputError(f"backbone {self.name}: not a MobileNetV2")
        # `stage` counts the stem as 0.
        levels = {info["stage"] - 1: (level, info) for level, info in enumerate(net.feature_info, start=1)}
        segments = [Segment("stem", factor=2)]
        stride = 2
        for group, factor in enumerate(GROUP_FACTORS):
            stride *= factor
            level, info = levels.get(group, (None, None))
            segments.append(
                Segment(
                    f"blocks{group}",
                    factor=factor,
                    dilated=factor > 1 and stride > output_stride,
                    level=level,
                    channels=info["num_chs"] if info else None,
                )
            )
        return segments

    def _trim(self, last: int) -> None:
        net: Any = self.net
        net.blocks = net.blocks[:last]
        del net.conv_head, net.bn2, net.global_pool, net.classifier

    def _run_segment(self, index: int, x: Tensor) -> Tensor:
        net: Any = self.net
        return net.bn1(net.conv_stem(x)) if index == 0 else net.blocks[index - 1](x)
