"""What all decoders have in common: which levels they read and how, dropout and a 1x1 classifier."""

from typing import Any

from torch import Tensor, nn

from pipeline_src.models.fusion.concat import Consumer


class DecodeHead(nn.Module):
    """Maps the feature maps of some levels to logits, as MMSegmentation's decode heads do.

    Built with the channels of exactly the levels of `needed_levels`, from fine to coarse, and called
    with exactly their maps. `align_corners` is that of every bilinear resize in the head, and of the
    upsampling of its logits to the image.
    """

    align_corners: bool
    dropout: nn.Dropout2d
    classifier: nn.Conv2d

    @staticmethod
    def needed_levels(options: dict[str, Any]) -> list[int]:
        """Levels that the head of the section `options` reads, from fine to coarse."""
        raise NotImplementedError

    def input_convolutions(self, level: int) -> list[Consumer]:
        """The convolutions that read the map of `level`, as it is or after average pooling.

        Each with its first input channel that belongs to the map; none for a level that is not read.
        Between the map and them nothing is nonlinear, so a factor on the map may be moved into them.
        """
        raise NotImplementedError

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` at the size of the finest of `features` `(N, C_i, H_i, W_i)`."""
        raise NotImplementedError

    def _end_with(self, width: int, num_classes: int, dropout: float) -> None:
        """Add dropout of whole channels and the 1x1 classifier of maps `(N, width, H, W)`."""
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, 1)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def _classify(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)` of `x` `(N, width, H, W)`."""
        return self.classifier(self.dropout(x))
