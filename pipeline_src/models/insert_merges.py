"""Puts a run's merges into its head, in place of the plain sums there."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import nn

from pipeline_src.models.build_pyramid import component_of
from pipeline_src.models.fusion.merge_place import MergePlace
from pipeline_src.models.own_random_numbers import numbers_of_their_own

_MERGES = 0x3E6
"""Parts the random numbers of merges from those of the rest of a network; any number does."""


class MergingHead(Protocol):
    """A decoder or detector that merges maps."""

    def set_merges(self, merges: nn.ModuleList) -> None:
        """Take `merges[i]` in place of the plain sum at its i-th place."""


def insert_merges(head: MergingHead, model: Mapping[str, Any], places: Sequence[MergePlace]) -> None:
    """Give `head` the merges of a resolved `model` section, one for each of its `places`.

    Draws nothing from torch's generator.
    """
    if model.get("merge") is None:
        return
    merge, options = component_of("merge", model["merge"])
    with numbers_of_their_own(_MERGES):
        head.set_merges(nn.ModuleList(merge(place.channels, **vars(options)) for place in places))
