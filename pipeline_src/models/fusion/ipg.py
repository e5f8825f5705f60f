"""Image Pyramid Guidance (Liu et al., IPG-Net, section 3): an image pyramid that guides a backbone.

After chosen stages, a shallow feature of a smaller image is fused into the stage's output, which is what
the next stage and the heads get. The paper's extra stages are here too.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.segments import strides_after
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.blocks import resize_bilinear
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.ipg_fusion import OPERATORS
from pipeline_src.models.fusion.ipg_options import (
    BACKBONE_STAGES,
    STEM_CHANNELS,
    IPGOptions,
    check_fusion,
    check_reach,
    check_stages,
    check_width,
    extra_segments,
    guided_stages,
    resolve_ipg,
)
from pipeline_src.models.own_random_numbers import numbers_of_their_own
from pipeline_src.models.pyramid import WrappingPyramid
from pipeline_src.models.pyramid_place import PyramidPlace
from pipeline_src.models.residual import bottleneck
from pipeline_src.options import checked

FEATURE_STRIDE = 4
"""Stride of a transformation module: what it makes of an image has R's size if the image has stride R / 4."""


_GUIDANCE = 0x1B6
"""Parts the random numbers of the added modules from those of the rest of a network; any number does."""


class GuidanceTransformation(nn.Module):
    """An image `(N, 3, H, W)` to a feature `(N, channels, ceil(H / 4), ceil(W / 4))` (section 3.3, Figure 2).

    7x7 convolution of stride 2 with BN and ReLU, 2x2 max-pooling, one bottleneck. Its BN learns.
    """

    def __init__(self, channels: int, stem_channels: int = STEM_CHANNELS) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, stem_channels, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.norm = nn.BatchNorm2d(stem_channels)
        self.relu = nn.ReLU(inplace=True)
        # ceil, as the backbones do with odd sizes
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.block = bottleneck(stem_channels, channels)

    def forward(self, image: Tensor) -> Tensor:
        """The feature of `image` `(N, 3, H, W)`."""
        return self.block(self.pool(self.relu(self.norm(self.conv(image)))))


class ImagePyramidGuidance(WrappingPyramid):
    """A backbone of 4 to 7 stages that is guided by an image pyramid after some of them (Figure 1).

    `fusion`: `sum`, `product` or `concat` (`ipg_fusion`). `positions`: the stages whose output is fused, any
    set of them; None: all from 2 on that have an image (Eq. 1). `levels`: 4 images, for stages 1 to 4,
    or `stages`, one for each. `identity_start`: every fusion begins as the identity on the stage's output.

    `stages`: 5 to 7 add stages of two bottlenecks and `extra_channels` (None: stage 4's) behind the
    backbone, each of stride 2; with `keep` they hold stage 4's stride, with dilation 2 and a projection in
    the first shortcut (DetNet). `image_channels` is the paper's C1: stage s gets a feature of
    C1 * 2^(s - 1) channels (None: stage 1's channels, as a ResNet's 256), those of stage 4 beyond it, where
    stages grow no wider; CT fits it where it differs.
    `stem_channels`: of the 7x7 convolution.

    The images come from repeated bilinear halving, sizes rounded up, and a stage gets the one whose feature
    has its size: image s - 1, or a larger one where the stage is dilated or kept. `out_levels`: the levels
    to give; None: the backbone's and those of the extra stages.

    Raises `InputError` for what cannot be built, and for fusions and stages that no given level follows.
    """

    Options = IPGOptions

    backbone: StagedBackbone

    def __init__(
        self, backbone: StagedBackbone, *, out_levels: Sequence[int] | None = None, **options: Any
    ) -> None:
        super().__init__(backbone)
        chosen = checked(IPGOptions, **options)
        fusion, positions, levels = chosen.fusion, chosen.positions, chosen.levels
        stages, keep, extra_channels = chosen.stages, chosen.keep, chosen.extra_channels
        check_fusion(fusion)
        check_stages(stages, keep)
        self.positions = guided_stages(positions, stages, levels)
        if stages > BACKBONE_STAGES and backbone.levels[-1] != BACKBONE_STAGES + 1:
            raise InputError(
                f"stages: {stages}: stage 5 follows level {BACKBONE_STAGES + 1}, and the backbone ends at "
                f"level {backbone.levels[-1]}"
            )
        last = backbone.segments[-1].channels or 0
        extra = extra_segments(stages, keep, extra_channels or last)
        if extra:
            check_width(extra_channels or last, "extra_channels")
        self.backbone = backbone
        self.levels = _given_levels(
            [*backbone.levels, *(segment.level for segment in extra if segment.level)], out_levels
        )
        check_reach(self.positions, stages, self.levels[-1])
        # a norm that only a given map passes would get no gradient
        for level in () if backbone.norm_in_stream else set(backbone.levels) - set(self.levels):
            if str(level) in backbone.out_norms:
                del backbone.out_norms[str(level)]

        # Extra stages first, so that networks with and without guidance start from the same weights.
        self.extra_stages = nn.ModuleDict()
        for segment in extra:
            width = segment.channels or 0
            self.extra_stages[segment.name] = _extra_stage(last, width, keep)
            last = width

        segments = [*backbone.segments, *extra]
        ends = {
            segment.level: (segment.channels or 0, stride)
            for segment, stride in zip(segments, strides_after(segments), strict=True)
            if segment.level is not None
        }
        self.channels = [ends[level][0] for level in self.levels]
        self.strides = [ends[level][1] for level in self.levels]
        self.transformations = nn.ModuleDict()
        self.fusions = nn.ModuleDict()
        self.halvings: dict[int, int] = {}
        with numbers_of_their_own(_GUIDANCE):
            for stage in self.positions:
                first = chosen.image_channels or ends[2][0]
                check_width(first, "image_channels")
                channels, stride = ends[stage + 1]
                self.halvings[stage] = (stride // FEATURE_STRIDE).bit_length() - 1
                width = first * 2 ** (min(stage, BACKBONE_STAGES) - 1)
                self.transformations[f"stage{stage}"] = GuidanceTransformation(width, chosen.stem_channels)
                self.fusions[f"stage{stage}"] = OPERATORS[fusion](channels, chosen.identity_start)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of `images` `(N, 3, H, W)`, one per level; `InputError` for too small images."""
        self.backbone.check_size(images)
        pyramid = self.image_pyramid(images)
        features = {}
        x = images
        # The backbone; what is fused runs onward.
        for index, segment in enumerate(self.backbone.segments):
            x = self.backbone.step(index, x)
            if segment.level is not None:
                x = self._guide(segment.level - 1, x, pyramid)
                x, given = self.backbone.end(segment.level, x)
                if segment.level in self.levels:
                    features[segment.level] = given
        # The stages behind it.
        for stage, run_stage in enumerate(self.extra_stages.values(), start=BACKBONE_STAGES + 1):
            x = self._guide(stage, run_stage(x), pyramid)
            features[stage + 1] = x
        return [features[level] for level in self.levels]

    @staticmethod
    def available_levels(options: IPGOptions) -> list[int]:
        """Level 2 to that of the last stage."""
        return list(range(2, options.stages + 2))

    @staticmethod
    def backbone_levels(options: IPGOptions, out_levels: Sequence[int]) -> list[int]:
        """The extra stages, which give the levels above the backbone's, need the whole backbone."""
        return sorted({min(level, BACKBONE_STAGES + 1) for level in out_levels})

    @staticmethod
    def resolve(options: IPGOptions, place: PyramidPlace) -> dict[str, Any] | None:
        """With the fusion positions; None without any and without extra stages."""
        return resolve_ipg(vars(options), max(place.read))

    @staticmethod
    def reduction(options: IPGOptions) -> float:
        """That of the added stages of stride 2."""
        return 1.0 if options.keep else 2.0 ** (options.stages - BACKBONE_STAGES)

    @staticmethod
    def concatenations(options: IPGOptions, read: Sequence[int]) -> list[Concatenation]:
        """One for each fusion position, each of which feeds the stages behind it.

        An equalized one is no identity, which a user has to want.
        """
        if options.fusion != "concat":
            return []
        return [
            Concatenation(f"fusions.stage{stage}.concat", stage - 8, not options.identity_start)
            for stage in options.positions or []
        ]

    def image_pyramid(self, images: Tensor) -> list[Tensor]:
        """`images` `(N, 3, H, W)` and as many halves of them as are needed, `(N, 3, ceil(H / 2), ...)`."""
        pyramid = [images]
        for _ in range(max(self.halvings.values(), default=0)):
            height, width = ((side + 1) // 2 for side in pyramid[-1].shape[-2:])
            pyramid.append(resize_bilinear(pyramid[-1], (height, width)))
        return pyramid

    def _guide(self, stage: int, x: Tensor, pyramid: list[Tensor]) -> Tensor:
        """The output `x` `(N, C, H, W)` of `stage`, fused with its image where it has one."""
        if stage not in self.halvings:
            return x
        name = f"stage{stage}"
        feature = self.transformations[name](pyramid[self.halvings[stage]])
        return self.fusions[name](feature, x)


def _extra_stage(in_channels: int, channels: int, keep: bool) -> nn.Sequential:
    """Two bottlenecks, of stride 2 or, to `keep` the stride, of dilation 2 (DetNet)."""
    stride, dilation = (1, 2) if keep else (2, 1)
    return nn.Sequential(
        bottleneck(in_channels, channels, stride=stride, dilation=dilation, project=True),
        bottleneck(channels, channels, dilation=dilation),
    )


def _given_levels(available: list[int], chosen: Sequence[int] | None) -> list[int]:
    """The levels to give, from fine to coarse."""
    levels = sorted(available if chosen is None else set(chosen))
    if not levels or not set(levels) <= set(available):
        raise InputError(f"out_levels: {levels}; this network has {', '.join(map(str, available))}")
    return levels
