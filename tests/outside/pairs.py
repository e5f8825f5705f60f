"""A reader of one's own: a folder per split, in which `x.jpg` has the mask `x.png`."""

from dataclasses import dataclass

from pipeline_src.data.file_names import list_folder
from pipeline_src.data.readers.mask_reader import MaskReader
from pipeline_src.data.records import Record, SplitListing
from pipeline_src.options import REQUIRED, option


@dataclass(frozen=True)
class Options:
    """Images and masks side by side."""

    classes: list[str] = option(REQUIRED, "Class names by mask id.", min_length=2)
    ignore_index: int = option(255, "Mask id that is left out.")


@dataclass(frozen=True)
class Split:
    """A folder."""

    folder: str = option(REQUIRED, "Folder below the root.")


class PairsReader(MaskReader):
    """Pairs of files of one name."""

    Options, Split = Options, Split

    @staticmethod
    def read(roots, split, spec):
        folder = spec["folder"]
        stems = [name[:-4] for name in list_folder(roots[0] / folder) if name.endswith(".jpg")]
        records = tuple(Record(stem, f"{folder}/{stem}.jpg", f"{folder}/{stem}.png") for stem in stems)
        return SplitListing(roots[0], records, PairsReader.sources(roots, spec))

    @staticmethod
    def sources(roots, spec):
        return (spec["folder"],)
