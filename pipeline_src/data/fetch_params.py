"""What the planner tells the steps that bring data and weights here. Standard library only.

A public archive or a timm tag's weights are told as their table's row, `archives.RemoteFile`.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DrawScenes:
    """Step `scenes`: what is drawn, `images` of each split, in a `layout`, which is a component.

    `size` is `[width, height]` or `{"min": ..., "max": ...}` of such pairs, `objects` the fewest and most of
    an image; `shares` and `crowds` are as in `scenes.generator.SceneSettings`.
    """

    layout: str
    seed: int
    images: dict[str, int]
    size: Any
    classes: int
    objects: list[int]
    crowds: float
    shares: list[float] | None = None

    @property
    def sizes(self) -> tuple[list[int], list[int]]:
        """The smallest and the largest width and height."""
        return (self.size["min"], self.size["max"]) if isinstance(self.size, dict) else (self.size, self.size)


@dataclass(frozen=True, kw_only=True)
class ExtractArchive:
    """Step `extract`: the archive, and what its files are converted to on the way."""

    archive: str
    convert: str | None = None


@dataclass(frozen=True, kw_only=True)
class OwnWeights:
    """Step `weights`, for a file of the user's own: where it is, its SHA-256, where it came from."""

    file: str
    sha256: str | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class DescribeData:
    """Step `manifest`: a data set, its splits as its reader takes them, and its classes.

    `root` and `fingerprint` are of a user's folder. What a reader says of its labels stands beside these
    keys, for the checks of its task.
    """

    dataset: str
    format: str
    splits: dict[str, dict[str, Any]]
    num_classes: int
    classes: list[str] | None = None
    root: str | None = None
    fingerprint: dict[str, Any] | None = None
