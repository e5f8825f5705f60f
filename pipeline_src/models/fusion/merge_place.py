"""Where a head merges two maps, as planning knows it; no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MergePlace:
    """A merge of two maps of `channels`; it reads what was made at a lower `nesting` (`Concatenation`)."""

    channels: int
    nesting: float
