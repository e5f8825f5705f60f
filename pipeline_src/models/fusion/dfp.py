"""Deep Feature Pyramid (Chen et al., section 3): an image pyramid that starts deep inside the network.

The network runs once up to a split; there the feature map is resized to several scales and the
rest, with shared weights, runs on each; every output level is fused over the scales.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.segments import minimum_side
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from pipeline_src.models.blocks import ConvBNReLU, resize_bilinear
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.dfp_options import (
    DFPOptions,
    check_depth,
    check_scales,
    first_fused_level,
    scaled_side,
    split_index,
)
from pipeline_src.models.fusion.fused_concat import FusedConcat, FusedSum
from pipeline_src.models.pyramid import WrappingPyramid
from pipeline_src.models.pyramid_place import PyramidPlace
from pipeline_src.options import checked

FUSIONS = {"concat": FusedConcat, "sum": FusedSum}


class DeepFeaturePyramid(WrappingPyramid):
    """A backbone whose last `depth` down-samplings run at several scales (Figures 2 and 3).

    `depth`: 1 to 5; at 5 the image itself is resized. 0 is the network at one scale with an encoder on its
    last level: what the other depths are, without their pyramid. `scales`: any positive factors; the largest
    decides the size of the fused maps. `split`: see `dfp_options.split_index`. `encoder`: `shared` or
    `per_branch` weights of the encoders. `fusion`: `concat` or `sum` of the encoded branches. `align_corners`
    is that of the upsampling before it.

    Output levels that end before the split pass unchanged. Those in the multi-scale part, of k channels,
    are compressed per branch to k // 2 (1x1, 3x3), upsampled and concatenated: `len(scales) * (k // 2)`.
    Raises `InputError` for a depth, split, encoder, fusion or scales that cannot be built.
    """

    Options = DFPOptions

    backbone: StagedBackbone

    def __init__(
        self, backbone: StagedBackbone, *, out_levels: Sequence[int] | None = None, **options: Any
    ) -> None:
        super().__init__(backbone)
        chosen = checked(DFPOptions, **options)
        depth, per_branch = chosen.depth, chosen.encoder == "per_branch"
        check_scales(chosen.scales)
        self.backbone = backbone
        self.depth = depth
        self.scales = tuple(chosen.scales)
        self.split = split_index(backbone.segments, depth, chosen.split)
        self.minimum = minimum_side(backbone.segments[self.split :])
        self.levels = list(backbone.levels)
        self.channels = []
        self.strides = []
        self.encoders = nn.ModuleDict()
        self.fusions = nn.ModuleDict()
        multi_scale = [segment.level for segment in backbone.segments[self.split :]]
        encoded = multi_scale if depth else [backbone.levels[-1]]
        for level, channels, stride in zip(backbone.levels, backbone.channels, backbone.strides, strict=True):
            if level in encoded:
                compressed = channels // 2
                count = len(self.scales) if depth and per_branch else 1
                encoders = [
                    (ConvBNReLU(channels, compressed, 1), ConvBNReLU(compressed, compressed, 3))
                    for _ in range(count)
                ]
                self.encoders[str(level)] = nn.ModuleList(nn.Sequential(*units) for units in encoders)
                channels = compressed
            if level in multi_scale:
                fused = FUSIONS[chosen.fusion](
                    [compressed] * len(self.scales),
                    names=[f"scale {scale:g}" for scale in self.scales],
                    align_corners=chosen.align_corners,
                )
                if per_branch:
                    fused.connect([], [last for _, last in encoders])
                self.fusions[str(level)] = fused
                channels = fused.out_channels
            self.channels.append(channels)
            self.strides.append(stride)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of `images` `(N, 3, H, W)`, one per level; `InputError` for too small images."""
        self.backbone.check_size(images)
        # The first part of the network, at one scale.
        low, features = self.backbone.collect(images, 0, self.split)
        # The rest, with shared weights, on every scale of the map at the split.
        branches = [self._run_branch(low, scale) for scale in self.scales] if self.depth else [features]
        # Per level: compress every branch, upsample to the largest, fuse.
        for name, own in self.encoders.items():
            level, encoders = int(name), list(own.children())
            if len(encoders) == 1:
                encoders *= len(branches)
            encoded = [encode(branch[level]) for encode, branch in zip(encoders, branches, strict=True)]
            features[level] = self.fusions[name](encoded) if self.depth else encoded[0]
        return [features[level] for level in self.levels]

    @staticmethod
    def resolve(options: DFPOptions, place: PyramidPlace) -> dict[str, Any] | None:
        """At depth 0 only the encoder is left; None without it."""
        if options.depth == 0:
            return {"depth": 0} if options.encoder_at_depth_0 else None
        try:
            check_depth(options.depth, place.stem_stride, key=f"backbone {place.backbone}")
        except InputError as error:
            raise InputError(f"depth: {error}") from None
        said = {**vars(options), "encoder_at_depth_0": None, "align_corners": options.align_corners or None}
        return {key: value for key, value in said.items() if value is not None}

    @staticmethod
    def reduction(options: DFPOptions) -> float:
        """That of the smallest scale."""
        return 1 / min(options.scales) if options.depth else 1.0

    @staticmethod
    def concatenations(options: DFPOptions, read: Sequence[int]) -> list[Concatenation]:
        """One at every level of the multi-scale part that is read."""
        if not options.depth or options.fusion != "concat":
            return []
        first = first_fused_level(options.depth, options.split)
        return [Concatenation(f"fusions.{level}", 0) for level in sorted(read) if level >= first]

    def concatenation_at(self, level: int) -> FusedConcat | None:
        """The fusion over the scales at `level`; None for one that is not fused, or summed."""
        fused = dict(self.fusions.items()).get(str(level))
        return fused if isinstance(fused, FusedConcat) and not isinstance(fused, FusedSum) else None

    def _run_branch(self, low: Tensor, scale: float) -> dict[int, Tensor]:
        """Output levels of the multi-scale part, run on `low` `(N, C, H, W)` resized by `scale`."""
        height, width = (scaled_side(side, scale, self.minimum) for side in low.shape[-2:])
        resized = resize_bilinear(low, (height, width))
        _, features = self.backbone.collect(resized, self.split, len(self.backbone.segments))
        return features
