"""A backbone family of a user's own: RegNet, which the committed table does not list."""

from typing import Any

from timm.models import RegNet
from torch import Tensor

from pipeline_src.models.backbones.segments import Segment
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.backbones.table import BackboneFacts


class RegNetPyramid(StagedBackbone):
    """timm's RegNet."""

    network_class = RegNet
    supports_output_stride = False
    freezable = (("stem",), ("s1",), ("s2",), ("s3",), ("s4",))

    @staticmethod
    def facts(name: str) -> BackboneFacts:
        """What planning has to know of it."""
        return BackboneFacts(
            architecture=name, family="regnet", channels=(24, 56, 152, 368), strides=(4, 8, 16, 32),
            stem_stride=2, parameters=2_315_576, supports_output_stride=False, out_norm=False, name=name,
            mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), interpolation="bicubic",
            input_size=(224, 224), licence="", hub="", notes="",
        )  # fmt: skip

    def _divide(self, output_stride: int) -> list[Segment]:
        net: Any = self.net
        channels = [info["num_chs"] for info in net.feature_info]
        stages = [
            Segment(f"s{stage}", factor=2, level=stage + 1, channels=channels[stage])
            for stage in (1, 2, 3, 4)
        ]
        return [Segment("stem", factor=2), *stages]

    def _trim(self, last: int) -> None:
        for part in ["final_conv", "head", *(f"s{stage}" for stage in range(last + 1, 5))]:
            delattr(self.net, part)

    def _run_segment(self, index: int, x: Tensor) -> Tensor:
        return self.net.get_submodule("stem" if index == 0 else f"s{index}")(x)
