"""A concatenation of a network, as planning knows it; no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Concatenation:
    """A concatenation by its place, such as `decoder.concat`, and whether it is equalised by default.

    One of a higher `nesting` reads what the lower ones made, so it is calibrated after them, with them
    equalised already. A pyramid's are below 1, a decoder's above 0.
    """

    name: str
    nesting: float
    default: bool = True
