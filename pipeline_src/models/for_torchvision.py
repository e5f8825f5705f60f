"""Thin adapters: the project's pyramids and merges in torchvision's detectors and its FPN, or alone."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from pipeline_src.components import load
from pipeline_src.errors import InputError
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.backbones.table import lookup_architecture
from pipeline_src.models.detectors.fpn import MergingFPN, PyramidWithFPN
from pipeline_src.models.fusion.deepfuse import DeepFuse
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.models.pyramid_place import BACKBONE_LEVELS


def timm_backbone(
    name: str,
    *,
    levels: Sequence[int] = BACKBONE_LEVELS,
    output_stride: int = 32,
    weights: str | Path | None = None,
    **args: Any,
) -> StagedBackbone:
    """A timm network, named with or without weight tag, as a feature pyramid of `levels`.

    `weights`: a safetensors file; None: random. `args` go to `timm.create_model`. Nothing is downloaded.
    Raises `InputError` for a name that the project does not know and for what cannot be built.
    """
    facts = lookup_architecture(name)
    made: StagedBackbone = load(f"backbone.{facts.family}")(
        name,
        args=args,
        output_stride=output_stride,
        out_norm=facts.out_norm,
        out_levels=list(levels),
        weights_path=weights,
    )
    return made


class TorchvisionBackbone(PyramidWithFPN):
    """A feature pyramid under an FPN, as the `backbone` of torchvision's Faster R-CNN, Mask R-CNN, RetinaNet.

    The maps are named "0", "1", ... and "pool", as those of torchvision's own backbones, so that the
    detectors' default anchors and pooling fit four levels with `extra` of `pool`. `levels`: None for all.
    """

    def __init__(
        self,
        pyramid: FeaturePyramid,
        out_channels: int = 256,
        *,
        levels: Sequence[int] | None = None,
        extra: str = "pool",
    ) -> None:
        super().__init__(pyramid, pyramid.levels if levels is None else levels, out_channels, extra)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps `(N, out_channels, H_i, W_i)` of `images` `(N, 3, H, W)`, from fine to coarse."""
        maps = super().forward(images)
        names = {str(level): str(place) for place, level in enumerate(self.levels)}
        return OrderedDict((names.get(name, name), one) for name, one in maps.items())


def with_deepfuse(fpn: FeaturePyramidNetwork, **options: Any) -> MergingFPN:
    """torchvision's `fpn` with a DeepFuse where its top-down path sums two maps, and the same weights.

    `options` are those of `DeepFuse`. At first it computes what `fpn` does: each merge starts as the sum.
    Raises `InputError` for an FPN that merges nothing.
    """
    inner = [_convolution(block) for block in fpn.inner_blocks]
    if len(inner) < 2:
        raise InputError(f"an FPN of {len(inner)} map merges nothing; DeepFuse needs at least two")
    merging = MergingFPN([one.in_channels for one in inner], inner[0].out_channels, None)
    merging.inner_blocks, merging.layer_blocks = fpn.inner_blocks, fpn.layer_blocks
    merging.extra_blocks = fpn.extra_blocks
    merging.merges = nn.ModuleList(DeepFuse(inner[0].out_channels, **options) for _ in inner[1:])
    return merging.train(fpn.training)


def _convolution(block: nn.Module) -> nn.Conv2d:
    return next(module for module in block.modules() if isinstance(module, nn.Conv2d))
