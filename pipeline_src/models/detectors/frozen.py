"""Freezing the pretrained part of a detector's backbone: its stem, first stages and BN."""

from timm.layers.norm_act import freeze_batch_norm_2d

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.base import StagedBackbone
from pipeline_src.models.detectors.options import frozen_parts
from pipeline_src.models.pyramid import FeaturePyramid


def freeze_backbone(
    pyramid: FeaturePyramid, family: str, *, stages: int | None = 1, norm: bool = True
) -> None:
    """Freeze the backbone inside `pyramid`: the stem for `stages` 0, with stages 1 to `stages` above that.

    Their parameters learn no more and their BN is fixed; None freezes none. `norm`: every BN of the
    backbone becomes a `FrozenBatchNorm2d`, whose statistics and affine values are buffers. What a pyramid
    adds to its backbone is not touched. Call it after the weights are loaded.
    Raises `InputError` for a family whose stages are not known.
    """
    net = staged_backbone(pyramid).net
    parts = frozen_parts(family, stages)
    present = dict(net.named_modules())
    for part in parts:
        # a stage above the last level that is read is not there
        if part in present:
            net.set_submodule(part, freeze_batch_norm_2d(present[part]))
            net.get_submodule(part).requires_grad_(False)
    if norm:
        freeze_batch_norm_2d(net)


def staged_backbone(pyramid: FeaturePyramid) -> StagedBackbone:
    """The backbone at the bottom of `pyramid`, which is or wraps one; `InputError` where there is none."""
    inner: object = pyramid
    while not isinstance(inner, StagedBackbone):
        if not hasattr(inner, "backbone"):
            raise InputError(f"{type(inner).__name__}: wraps no backbone whose stages could be frozen")
        inner = inner.backbone
    return inner
