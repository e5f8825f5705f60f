"""Swin Transformer for images of any size; its blocks are (N, H, W, C), its segments (N, C, H, W).

Segments: stem (patches of 4), layers 0 to 3 (levels 2 to 5); layers 1 to 3 start with a patch merging.
"""

from typing import Any

from timm.models import SwinTransformer
from timm.models.swin_transformer import checkpoint_filter_fn
from torch import Tensor

from pipeline_src.models.backbones.segments import Segment, patch_stages
from pipeline_src.models.backbones.staged_backbone import StagedBackbone


class SwinPyramid(StagedBackbone):
    """timm's Swin with windows and shifts that do not depend on the image size, as in MMSegmentation.

    timm otherwise shrinks windows and drops the shift where a stage's map at the *creation* size is
    not larger than a window (stage 4 at 224 pixels), and refuses other sizes.
    """

    network_class = SwinTransformer
    architectures = tuple(f"swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base"))
    normalises_levels = True
    freezable = (("patch_embed",), ("layers.0",), ("layers.1",), ("layers.2",), ("layers.3",))
    supports_output_stride = False
    pads_itself = False
    default_args = {"always_partition": True, "strict_img_size": False}  # noqa: RUF012
    weight_filter = staticmethod(checkpoint_filter_fn)

    def _divide(self, output_stride: int) -> list[Segment]:
        net: Any = self.net
        return patch_stages([info["num_chs"] for info in net.feature_info])

    def _trim(self, last: int) -> None:
        net: Any = self.net
        net.layers = net.layers[:last]
        del net.norm, net.head

    def _run_segment(self, index: int, x: Tensor) -> Tensor:
        net: Any = self.net
        if index == 0:
            return net.patch_embed(x).permute(0, 3, 1, 2)
        return net.layers[index - 1](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
