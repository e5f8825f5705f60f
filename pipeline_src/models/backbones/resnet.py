"""ResNet, plain (7x7 stem) and V1c (three 3x3 convolutions in the stem), at output stride 8, 16 or 32.

Segments: conv1 (with BN and ReLU, level 1), maxpool, layer1 (level 2), layer2, layer3, layer4 (level 5).
"""

from typing import Any

from timm.models import ResNet
from torch import Tensor

from pipeline_src.models.backbones.segments import Segment
from pipeline_src.models.backbones.staged_backbone import StagedBackbone


class ResNetPyramid(StagedBackbone):
    """timm's ResNet; a dilated stage starts with half its dilation, as MMSegmentation's contract_dilation."""

    network_class = ResNet
    architectures = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet50c", "resnet101c")
    freezable = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))

    def _divide(self, output_stride: int) -> list[Segment]:
        info: Any = self.net.feature_info
        channels = [level["num_chs"] for level in info]
        segments = [
            Segment("conv1", factor=2, level=1, channels=channels[0]),
            Segment("maxpool", factor=2),
            Segment("layer1", level=2, channels=channels[1]),
        ]
        for stage in (2, 3, 4):
            level = stage + 1
            segments.append(
                Segment(f"layer{stage}", 2, 2**level > output_stride, level=level, channels=channels[stage])
            )
        return segments

    def _trim(self, last: int) -> None:
        unused = [f"layer{stage}" for stage in range(1, 5) if stage + 1 > last]
        for part in ["global_pool", "fc", *unused]:
            delattr(self.net, part)

    def _run_segment(self, index: int, x: Tensor) -> Tensor:
        net: Any = self.net
        if index == 0:
            return net.act1(net.bn1(net.conv1(x)))
        if index == 1:
            return net.maxpool(x)
        return getattr(net, f"layer{index - 1}")(x)
