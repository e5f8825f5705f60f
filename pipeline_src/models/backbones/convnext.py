"""ConvNeXt at output stride 8, 16 or 32.

Segments: stem (patches of 4), stages 0 to 3 (levels 2 to 5); stages 1 to 3 start with a down-sampling.
"""

import re
from typing import Any

from timm.models import ConvNeXt
from timm.models.convnext import checkpoint_filter_fn
from torch import Tensor

from pipeline_src.models.backbones.segments import Segment, patch_stages
from pipeline_src.models.backbones.staged_backbone import StagedBackbone

_DEPTH = re.compile(r"(?:stem|stages\.\d+\.downsample|stages\.(?P<stage>\d+)\.blocks)\.")


class ConvNeXtPyramid(StagedBackbone):
    """timm's ConvNeXt; maps of odd size are padded before a down-sampling, where timm drops the rest."""

    network_class = ConvNeXt
    architectures = tuple(f"convnext_{size}" for size in ("tiny", "small", "base"))
    normalises_levels = True
    freezable = (("stem",), ("stages.0",), ("stages.1",), ("stages.2",), ("stages.3",))
    out_norm_eps = 1e-6
    decays_by_depth = True
    pads_itself = False
    weight_filter = staticmethod(checkpoint_filter_fn)

    @staticmethod
    def parameter_depth(name: str) -> int | None:
        """That of ConvNeXt's `stage_wise` rule in MMSegmentation."""
        found = _DEPTH.match(name)
        if found is None:
            return None
        return 0 if found["stage"] is None else int(found["stage"]) + 1

    def _divide(self, output_stride: int) -> list[Segment]:
        net: Any = self.net
        return patch_stages([info["num_chs"] for info in net.feature_info], output_stride)

    def _trim(self, last: int) -> None:
        net: Any = self.net
        net.stages = net.stages[:last]
        del net.norm_pre, net.head

    def _run_segment(self, index: int, x: Tensor) -> Tensor:
        net: Any = self.net
        return net.stem(x) if index == 0 else net.stages[index - 1](x)
