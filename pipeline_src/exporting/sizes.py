"""For which images an exported program is: the attempts, from all sizes to one, and sizes to check it at."""

from dataclasses import dataclass
from typing import Any

from torch.export import Dim

STEP = 32
"""Sides of which every backbone's strides are factors."""
EXAMPLE = (2, 3, 256, 320)
"""Shape of the images that a program is traced with: no map of theirs is a single pixel."""
MOST = 64
"""Images of a batch, and steps of a side, that are declared."""


@dataclass(frozen=True)
class Sizes:
    """`sides` in words, what torch.export is told, and two shapes `(N, 3, H, W)` that it has to do."""

    sides: str
    dynamic: dict[int, Any]
    checked: tuple[tuple[int, ...], ...]
    sweep: tuple[int, ...] = ()
    """Further sides to try, in rising order, for the smallest one."""
    example: tuple[int, int, int, int] = EXAMPLE
    """Shape of the images that it is traced with."""

    @property
    def fixed(self) -> bool:
        """It is for one height and width."""
        return self.sides.startswith("fixed")


def attempts(size: tuple[int, int] | None = None) -> list[Sizes]:
    """From what is most use to what every network can do; with `size` (height, width) for that one alone."""
    steps = tuple(range(STEP, EXAMPLE[2], STEP))
    batch = Dim("batch", min=1, max=MOST)
    height, width = (STEP * Dim(name, min=1, max=MOST) for name in ("rows", "columns"))
    # one pixel more than a multiple, and an odd size: what rounds differently from the example
    odd, even = ((1, 3, 289, 321), (3, 3, 233, 375)), ((1, 3, 288, 416), (3, 3, 352, 224))
    free = [
        Sizes("any", {0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}, odd, steps),
        Sizes(f"multiples of {STEP}", {0: batch, 2: height, 3: width}, even, steps),
    ]
    sides = EXAMPLE[2:] if size is None else size
    example = (*EXAMPLE[:2], *sides)
    return [
        *(free if size is None else []),
        Sizes("fixed", {0: batch}, ((1, 3, *sides), (3, 3, *sides)), example=example),
        Sizes("fixed, batch too", {}, (example, example), example=example),
    ]
