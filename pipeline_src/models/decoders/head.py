"""The contract of decoders (kind `decoder`): what one declares for planning, and what its network does."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import Consumer
from pipeline_src.models.fusion.merge_place import MergePlace
from pipeline_src.models.pyramid_place import Levels

ALIGN_CORNERS = (
    "Whether corner pixels keep their place in every bilinear resize of the head and of its logits; true "
    "in MMSegmentation's recipes for crops of odd size, such as 769."
)
DROPOUT = "Dropout rate before the classifier."


class DecodeHead(nn.Module, ABC):
    """Maps the feature maps of some levels to logits, as MMSegmentation's decode heads do.

    A subclass is a component: it declares `Options`, a frozen dataclass of `pipeline_src.options`, and what
    follows from them, which planning asks without importing torch. Built as
    `Head(in_channels, num_classes, **options)` with the channels of exactly the levels of `needed_levels`,
    from fine to coarse, and called with exactly their maps.

    `align_corners` is that of every bilinear resize in the head, and of the upsampling of its logits to
    the image. `Auxiliary` are the options of the head as an auxiliary one; without them it cannot be one.
    """

    task: ClassVar[str] = "segmentation"
    """What it learns: the name of a folder in `tasks`."""

    Options: ClassVar[type]
    Auxiliary: ClassVar[type | None] = None

    align_corners: bool = False
    merges: nn.ModuleList | None
    dropout: nn.Dropout2d
    classifier: nn.Conv2d

    @abstractmethod
    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        """Build the head; `options` are the fields of `Options`."""
        super().__init__()
        self.merges = None

    @staticmethod
    @abstractmethod
    def needed_levels(options: Any) -> Levels:
        """Levels that the head of these options reads, from fine to coarse."""

    @staticmethod
    def concatenations(options: Any) -> list[Concatenation]:
        """Its concatenations by their place in the head, in the order of a forward pass; nesting above 0."""
        return []

    @staticmethod
    def merge_places(options: Any) -> list[MergePlace]:
        """Where it merges two maps (`_merge`), from the finest place to the coarsest; none by default."""
        return []

    @staticmethod
    def pools_to_one_cell(options: Any) -> bool:
        """Whether it normalises a map that it has pooled to 1x1, so that a micro-batch needs two images."""
        return False

    @abstractmethod
    def input_convolutions(self, level: int) -> list[Consumer]:
        """The convolutions that read the map of `level`, as it is or after average pooling.

        Each with its first input channel that belongs to the map; none for a level that is not read.
        Between the map and them nothing is nonlinear, so a factor on the map may be moved into them.
        """

    @abstractmethod
    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` at the size of the finest of `features` `(N, C_i, H_i, W_i)`."""

    def set_merges(self, merges: nn.ModuleList) -> None:
        """Take `merges[i]` in place of the plain sum at the i-th of `merge_places`."""
        self.merges = merges

    def _merge(self, place: int, lateral: Tensor, above: Tensor) -> Tensor:
        """`lateral` and `above` `(N, C, H, W)` merged, at that place of `merge_places`."""
        return lateral + above if self.merges is None else self.merges[place](lateral, above)

    def _end_with(self, width: int, num_classes: int, dropout: float) -> None:
        """Add dropout of whole channels and the 1x1 classifier of maps `(N, width, H, W)`."""
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, 1)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def _classify(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)` of `x` `(N, width, H, W)`."""
        return self.classifier(self.dropout(x))
