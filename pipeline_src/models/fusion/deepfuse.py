"""DeepFuse, as we read its abstract (Li, Long and Jin, DeepFuse neural networks).

Only the abstract is public. It says that a plain sum or concatenation of low- and high-level features is
not enough, and proposes a family of building blocks that can be put anywhere and prevents overfitting.
Our reading: a merge of two maps that combines them and passes them through residual bottlenecks, with
stochastic depth on these as the guard against overfitting. Every member starts as the plain sum, so a pair
with it and without starts from the same function.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn

from pipeline_src.models.blocks import ConvBNReLU
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import FusedConcat
from pipeline_src.models.fusion.merge import PairwiseMerge
from pipeline_src.options import Bounds, Fraction, checked, option

SQUEEZE = 4
"""By how much the inner convolution of a bottleneck is narrower (He et al., ResNet)."""


@dataclass(frozen=True)
class DeepFuseOptions:
    """DeepFuse as we read its abstract.

    Where two maps are summed, a trained block takes the sum's place: a merge with residual bottlenecks behind
    it.
    """

    combine: Literal["sum", "concat", "gated_product"] = option(
        "sum",
        "How the two maps are combined: `sum`; `concat`, then a 1x1 convolution; `gated_product`: the finer "
        "map times a gate of the coarser one, plus the coarser one.",
    )
    blocks: Annotated[int, Bounds(ge=0, le=3)] = option(
        1, "Residual bottlenecks on the combined map; `sum` with 0 is the plain merge."
    )
    drop_path: Fraction = option(
        0.1, "Stochastic depth: how often a bottleneck is left out of an image in training."
    )


class ResidualBottleneck(nn.Module):
    """`x + f(x)` for maps `(N, channels, H, W)`: f is 1x1, 3x3, 1x1 convolutions with BN, ReLU between.

    There is no ReLU behind the sum, since what an FPN merges has both signs. The last BN's factor begins at
    0, so that the block begins as the identity. `drop_path`: how often f is left out of an image.
    """

    def __init__(self, channels: int, drop_path: float = 0.0) -> None:
        super().__init__()
        inner = max(1, channels // SQUEEZE)
        last = nn.Conv2d(inner, channels, 1, bias=False)
        nn.init.kaiming_normal_(last.weight, mode="fan_out", nonlinearity="relu")
        norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(norm.weight)
        self.residual = nn.Sequential(
            ConvBNReLU(channels, inner, 1), ConvBNReLU(inner, inner, 3), last, norm, DropPath(drop_path)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, of the shape of `x`."""
        return x + self.residual(x)


class DeepFuse(PairwiseMerge):
    """Combines a lateral map and the upsampled one above it, then applies `blocks` residual bottlenecks.

    `sum`: lateral + above. `concat`: W [lateral, above] with a 1x1 convolution W. `gated_product`: lateral
    * 2 sigmoid(W above) + above. W begins so that each is the plain sum. The concatenation can carry a
    scale equalizer.
    """

    Options = DeepFuseOptions

    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__(channels)
        chosen = checked(DeepFuseOptions, **options)
        self.combine = chosen.combine
        if self.combine == "concat":
            self.concat = FusedConcat([channels, channels], names=["lateral", "above"])
            self.project = nn.Conv2d(self.concat.out_channels, channels, 1)
            self.concat.connect([(self.project, 0)])
            _make_sum(self.project)
        elif self.combine == "gated_product":
            self.gate = nn.Conv2d(channels, channels, 1)
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)  # type: ignore[arg-type]
        self.blocks = nn.Sequential(
            *(ResidualBottleneck(channels, chosen.drop_path) for _ in range(chosen.blocks))
        )

    @staticmethod
    def resolve(options: DeepFuseOptions) -> dict[str, Any] | None:
        """None for a sum without bottlenecks; without any, their stochastic depth has no effect."""
        if options.blocks:
            return dict(vars(options))
        return None if options.combine == "sum" else {**vars(options), "drop_path": DeepFuseOptions.drop_path}

    @staticmethod
    def concatenations(options: DeepFuseOptions) -> list[Concatenation]:
        """That of `concat`; equalized it no longer starts as the plain sum, which a user has to want."""
        return [Concatenation("concat", 0, default=False)] if options.combine == "concat" else []

    def forward(self, lateral: Tensor, above: Tensor) -> Tensor:
        """The merged map of `lateral` and `above`, all `(N, channels, H, W)`."""
        if self.combine == "concat":
            combined = self.project(self.concat([lateral, above]))
        elif self.combine == "gated_product":
            combined = lateral * (2 * torch.sigmoid(self.gate(above))) + above
        else:
            combined = lateral + above
        return self.blocks(combined)


@torch.no_grad()
def _make_sum(convolution: nn.Conv2d) -> None:
    """Let a 1x1 convolution of two maps side by side return their sum."""
    weight = convolution.weight
    identity = torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device)
    weight[:, :, 0, 0] = torch.cat([identity, identity], dim=1)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
