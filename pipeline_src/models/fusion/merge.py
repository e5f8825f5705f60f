"""The contract of merges (kind `merge`): how a head joins a map with the coarser one above it."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.options import to_json


class PairwiseMerge(nn.Module, ABC):
    """Joins two maps of one size, a lateral one and the upsampled one above it, to a third of that size.

    A subclass is a component: it declares `Options`, a frozen dataclass of `pipeline_src.options`, and what
    follows from them, which planning asks without importing torch. Built as `Merge(channels, **options)`,
    once for every place of a head (`merge_places`), it takes the place of the plain sum there.
    """

    Options: ClassVar[type]

    @abstractmethod
    def __init__(self, channels: int, **options: Any) -> None:
        """Build it for maps of `channels`; `options` are the fields of `Options`."""
        super().__init__()

    @staticmethod
    def resolve(options: Any) -> dict[str, Any] | None:
        """The options as a job is told of them; None for a merge that is the plain sum.

        What has no effect takes its default, so that trainings that are the same are one.
        """
        resolved: dict[str, Any] = to_json(options)
        return resolved

    @staticmethod
    def concatenations(options: Any) -> list[Concatenation]:
        """Its concatenations by their place in the merge; their nesting is that of the merge's place."""
        return []

    @abstractmethod
    def forward(self, lateral: Tensor, above: Tensor) -> Tensor:
        """The joined map of `lateral` and `above`, all `(N, channels, H, W)`."""
