"""What all readers of boxes have in common. Standard library only."""

from typing import Any

from pipeline_src.data.readers.reader import Reader

BACKGROUND = "background"
"""Name of class 0, which no annotation has."""


class BoxReader(Reader):
    """A format with boxes: class 0 is the background, which no annotation has."""

    task = "detection"

    @classmethod
    def classes(cls, options: Any) -> list[str]:
        """The background and the names of the objects."""
        return [BACKGROUND, *super().classes(options)]
