"""The fusion operators of IPG-Net (Liu et al., section 3.5): sum, residual product, concatenation.

Each maps an image's feature F and a stage's feature R to one of R's shape. `W`, `W_s` and `W_m` of the
paper are 1x1 convolutions with bias; `CT` interpolates linearly along the channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_src.models.blocks import ChannelLayerNorm, resize_bilinear
from pipeline_src.models.fusion.fused_concat import FusedConcat


def interpolate_channels(x: Tensor, channels: int) -> Tensor:
    """CT of Eq. 2: `(N, C, H, W)` to `(N, channels, H, W)`, linear along C with half-pixel centres.

    With `channels` equal to C it is `x` itself.
    """
    if x.shape[1] == channels:
        return x
    # Bilinear on the plane of channels and pixels, whose pixels keep their number: linear along channels.
    plane = x.flatten(2).unsqueeze(1)
    size = (channels, plane.shape[-1])
    plane = F.interpolate(plane, size=size, mode="bilinear", align_corners=False)
    return plane.reshape(x.shape[0], channels, *x.shape[2:])


class GuidanceFusion(nn.Module):
    """What the operators share: W_s on the aligned image feature, W_m on the stage's feature.

    `channels`: of R. `identity_start`: the operator begins as the identity on R, so that pretrained
    features survive the first step; some gradients are then 0 until the first update (see each). Exact in
    float32; half precision and a GPU's TF32 round R as in any other convolution.
    """

    def __init__(self, channels: int, identity_start: bool) -> None:
        super().__init__()
        self.channels = channels
        self.identity_start = identity_start
        self.project_image = _linear(channels, channels)
        self.project_backbone = _linear(channels, channels)

    def forward(self, image: Tensor, backbone: Tensor) -> Tensor:
        """O `(N, channels, H, W)` of F, `image` `(N, C, H', W')`, and R, `backbone` `(N, channels, H, W)`."""
        guidance = self.project_image(interpolate_channels(image, self.channels))
        guidance = resize_bilinear(guidance, (backbone.shape[-2], backbone.shape[-1]))
        fused = self._combine(guidance, backbone)
        # In R's memory layout: what follows rounds differently in another one, and an identity is one
        # only if everything behind it gives the same.
        nhwc = backbone.is_contiguous(memory_format=torch.channels_last) and not backbone.is_contiguous()
        return fused.contiguous(memory_format=torch.channels_last if nhwc else torch.contiguous_format)

    def _combine(self, guidance: Tensor, backbone: Tensor) -> Tensor:
        """O of `W_s CT(F)` and R, both `(N, channels, H, W)`."""
        raise NotImplementedError


class SumFusion(GuidanceFusion):
    """O = W [W_s CT(F) + W_m R] (Eq. 2).

    Identity start: W and W_m are the identity, W_s is 0. Until W_s has moved, at the first update, no
    gradient reaches F.
    """

    def __init__(self, channels: int, identity_start: bool = True) -> None:
        super().__init__(channels, identity_start)
        self.project = _linear(channels, channels)
        if identity_start:
            _make_identity(self.project)
            _make_identity(self.project_backbone)
            nn.init.zeros_(self.project_image.weight)

    def _combine(self, guidance: Tensor, backbone: Tensor) -> Tensor:
        return self.project(guidance + self.project_backbone(backbone))


class ResidualProduct(GuidanceFusion):
    """O = LN{[W_s CT(F) * W_m R] + R} (Eq. 3), LN over the channels of each pixel.

    As printed it has no identity, since LN(R) is not R. Identity start: O = R + a (LN{...} - R) with a
    trained scalar a that begins at 0. Until a has moved, at the first update, it alone gets a gradient.
    """

    def __init__(self, channels: int, identity_start: bool = True) -> None:
        super().__init__(channels, identity_start)
        self.norm = ChannelLayerNorm(channels)
        self.gate = nn.Parameter(torch.zeros(1)) if identity_start else None

    def _combine(self, guidance: Tensor, backbone: Tensor) -> Tensor:
        fused = self.norm(guidance * self.project_backbone(backbone) + backbone)
        return fused if self.gate is None else backbone + self.gate * (fused - backbone)


class ConcatFusion(GuidanceFusion):
    """O = W Cat[W_s CT(F), W_m R] (Eq. 4); the concatenation can carry a scale equalizer.

    Identity start: W_m is the identity, W is 0 on the image's channels and the identity on R's. Until W
    has moved, at the first update, no gradient reaches W_s and F. W_s is not what begins at 0, since an
    equalizer cannot measure the scale of a branch that is 0.
    """

    def __init__(self, channels: int, identity_start: bool = True) -> None:
        super().__init__(channels, identity_start)
        self.concat = FusedConcat([channels, channels], names=["image", "backbone"])
        self.project = _linear(self.concat.out_channels, channels)
        self.concat.connect([(self.project, 0)])
        if identity_start:
            _make_identity(self.project, first=channels)
            _make_identity(self.project_backbone)

    def _combine(self, guidance: Tensor, backbone: Tensor) -> Tensor:
        return self.project(self.concat([guidance, self.project_backbone(backbone)]))


OPERATORS: dict[str, type[SumFusion] | type[ResidualProduct] | type[ConcatFusion]] = {
    "sum": SumFusion,
    "product": ResidualProduct,
    "concat": ConcatFusion,
}


def _linear(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 1x1 convolution that keeps the variance of its input at the start."""
    convolution = nn.Conv2d(in_channels, out_channels, 1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear")
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


@torch.no_grad()
def _make_identity(convolution: nn.Conv2d, first: int = 0) -> None:
    """Let a 1x1 convolution return its input channels from `first` on."""
    weight = convolution.weight
    identity = torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device)
    weight.zero_()
    weight[:, first:, 0, 0] = identity
