"""Twins-SVT for images of any size; its blocks are token sequences, its segments (N, C, H, W).

Segments: stem (patches of 4), stages 1 to 4 (levels 2 to 5); stages 2 to 4 start with patches of 2.
"""

from typing import Any

from timm.models import Twins
from torch import Tensor

from pipeline_src.models.backbones.segments import Segment, patch_stages
from pipeline_src.models.backbones.staged_backbone import StagedBackbone


class TwinsPyramid(StagedBackbone):
    """timm's Twins; maps of odd size are padded before a patch embedding, where timm drops the rest.

    The output norm of a stage stands in the stream, as in MMSegmentation and in the authors' own code for
    segmentation: the next stage reads the normalised map, so stages whose level nobody reads have one too.

    timm's window attention pads with zeros that are not masked; MMSegmentation masks them (a small
    difference, on maps whose size is no multiple of the window).
    """

    network_class = Twins
    architectures = tuple(f"twins_svt_{size}" for size in ("small", "base", "large"))
    normalises_levels = True
    freezable = (
        ("patch_embeds.0",),
        ("blocks.0", "pos_block.0"),
        ("patch_embeds.1", "blocks.1", "pos_block.1"),
        ("patch_embeds.2", "blocks.2", "pos_block.2"),
        ("patch_embeds.3", "blocks.3", "pos_block.3"),
    )
    supports_output_stride = False
    norm_in_stream = True
    pads_itself = False

    def _divide(self, output_stride: int) -> list[Segment]:
        net: Any = self.net
        # Global attention reads its keys through a convolution of size and stride `sr_ratio`.
        reductions = [max(getattr(block.attn, "sr_ratio", 1) for block in stage) for stage in net.blocks]
        return patch_stages([info["num_chs"] for info in net.feature_info], minimums=reductions)

    def _trim(self, last: int) -> None:
        net: Any = self.net
        for part in ("patch_embeds", "pos_drops", "blocks", "pos_block"):
            setattr(net, part, getattr(net, part)[:last])
        del net.norm, net.head_drop, net.head

    def _run_segment(self, index: int, x: Tensor) -> Tensor:
        net: Any = self.net
        if index == 0:
            tokens, size = net.patch_embeds[0](x)
            return _to_map(tokens, size)
        stage = index - 1
        if stage == 0:
            tokens, size = x.flatten(2).transpose(1, 2), (x.shape[-2], x.shape[-1])
        else:
            tokens, size = net.patch_embeds[stage](x)
        tokens = net.pos_drops[stage](tokens)
        for number, block in enumerate(net.blocks[stage]):
            tokens = block(tokens, size)
            if number == 0:
                tokens = net.pos_block[stage](tokens, size)
        return _to_map(tokens, size)


def _to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Tokens `(N, H * W, C)` as a map `(N, C, H, W)`."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *size)
