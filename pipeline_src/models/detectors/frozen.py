"""Freezing the pretrained part of a detector's backbone: its stem, first stages and BN."""

from timm.layers.norm_act import freeze_batch_norm_2d

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.detectors.options import frozen_parts
from pipeline_src.models.pyramid import FeaturePyramid


def freeze_backbone(pyramid: FeaturePyramid, *, stages: int | None = 1, norm: bool = True) -> None:
    """Freeze the backbone inside `pyramid`: the stem for `stages` 0, with stages 1 to `stages` above that.

    Their parameters learn no more and their BN is fixed; None freezes none. `norm`: every BN of the
    backbone becomes a `FrozenBatchNorm2d`, whose statistics and affine values are buffers. What a pyramid
    adds to its backbone is not touched. Call it after the weights are loaded.
    Raises `InputError` for a backbone whose stages are not known.
    """
    backbone = pyramid.innermost()
    if not isinstance(backbone, StagedBackbone):
        raise InputError(f"{type(backbone).__name__}: has no stages that could be frozen")
    net = backbone.net
    present = dict(net.named_modules())
    for part in frozen_parts(backbone.freezable, stages):
        # a stage above the last level that is read is not there
        if part in present:
            net.set_submodule(part, freeze_batch_norm_2d(present[part]))
            net.get_submodule(part).requires_grad_(False)
    if norm:
        freeze_batch_norm_2d(net)
