"""What a look at a user's data found: sizes, classes, objects, what seems wrong. Standard library only."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SMALL, LARGE = 32**2, 96**2
"""Square pixels between which COCO calls an object medium."""


@dataclass
class SplitFindings:
    """Of one split: its images, how much of each class, and objects by size, where there are objects.

    What was counted is of `looked_at` images; `opened` of them gave their sizes, None: all of these.
    """

    images: int
    looked_at: int
    opened: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)


@dataclass
class Findings:
    """Of a whole data set. `what` is counted: pixels or boxes. `notes` say more of a class, as its colour."""

    what: str
    splits: dict[str, SplitFindings] = field(default_factory=dict)
    image_sizes: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def median_size(self) -> tuple[int, int]:
        """Median width and height of the images that were looked at."""
        widths, heights = zip(*self.image_sizes, strict=True)
        return round(statistics.median(widths)), round(statistics.median(heights))

    def lines(self, classes: Iterable[str]) -> list[str]:
        """Everything as text."""
        found = [f"{name}: {split.images:,} images" + _sampled(split) for name, split in self.splits.items()]
        widths, heights = zip(*self.image_sizes, strict=True)
        smallest, largest = f"{min(widths)}x{min(heights)}", f"{max(widths)}x{max(heights)}"
        width, height = self.median_size
        found.append(f"image sizes: {smallest} to {largest}, median {width}x{height}")
        names = list(classes)
        wide = max(map(len, names))
        found.append(
            f"{self.what} by class".ljust(wide + 4) + "".join(name.rjust(14) for name in self.splits)
        )
        for name in names:
            shares = [_share(split.counts, name, self.what) for split in self.splits.values()]
            note = f"  {self.notes[name]}" if name in self.notes else ""
            found.append(f"  {name.ljust(wide + 2)}" + "".join(text.rjust(14) for text in shares) + note)
        if any(split.sizes for split in self.splits.values()):
            for size in ("small", "medium", "large"):
                counts = [f"{split.sizes[size]:,}" for split in self.splits.values()]
                found.append(
                    f"  {f'{size} objects'.ljust(wide + 2)}" + "".join(text.rjust(14) for text in counts)
                )
        return [*found, *(f"warning: {text}" for text in self.warnings)]


def size_of_object(area: float) -> str:
    """COCO's name of an object's size."""
    return "small" if area < SMALL else "medium" if area < LARGE else "large"


def missing_classes(splits: Mapping[str, SplitFindings], classes: Iterable[str], what: str) -> list[str]:
    """A line for every class that a split has nothing of, where all of the split was looked at."""
    return [
        f"class {name!r} has no {what} in {split}"
        for name in classes
        for split, found in splits.items()
        if not found.counts[name] and found.looked_at == found.images
    ]


def some(split: str, problems: Sequence[str], shown: int = 3) -> list[str]:
    """The first problems of a split, a line each, and how many more there are."""
    more = f" (and {len(problems) - shown} more)" if len(problems) > shown else ""
    lines = [f"{split}: {text}" for text in problems[:shown]]
    return [*lines[:-1], *(line + more for line in lines[-1:])]


def _sampled(split: SplitFindings) -> str:
    if split.looked_at < split.images:
        return f", {split.looked_at:,} of them looked at (a seeded choice)"
    if split.opened is not None and split.opened < split.images:
        return f", {split.opened:,} of them opened for their size (a seeded choice)"
    return ""


def _share(counts: Counter[str], name: str, what: str) -> str:
    if what == "boxes":
        return f"{counts[name]:,}"
    total = counts.total()
    return f"{100 * counts[name] / total:.2f} %" if total else "-"
