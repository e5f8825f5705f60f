"""What all readers of index masks have in common. Standard library only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pipeline_src.data.readers.reader import Finding, Reader


class MaskReader(Reader):
    """A format with one index mask for every image."""

    task = "segmentation"

    class_ids: ClassVar[tuple[int, ...] | None] = None
    """Mask ids of the format's classes; None: class k has id k."""

    ignored_ids: ClassVar[tuple[int, ...]] = ()
    """Mask ids of unlabelled pixels, where the format fixes them."""

    @classmethod
    def labels(cls, options: Any, classes: Sequence[str]) -> dict[str, Any]:
        """The mask ids of the classes and of what is ignored."""
        if cls.class_ids is None:
            return {"ignore_index": options.ignore_index}
        ids = list(cls.class_ids[: len(classes)])
        return {"ignore_index": None, "class_ids": ids, "ignored_ids": list(cls.ignored_ids)}

    @classmethod
    def check(
        cls, options: Any, splits: Mapping[str, Any], archives: Sequence[str] | None
    ) -> Iterator[Finding]:
        """An ignored mask id must be no class's."""
        if cls.class_ids is None and options.ignore_index < len(classes := cls.classes(options)):
            yield (
                ["ignore_index"],
                f"{options.ignore_index} is the id of class {classes[options.ignore_index]!r}; "
                f"use one from {len(classes)} to 255, or say the classes' ids with `ids`",
            )
