"""Opens one detection record, image and annotation, and says what is wrong with it or what is in it.

Runs in the processes of a pool, so it takes and returns plain values. NumPy and Pillow only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_src.data.check import CheckedFile, is_rotated, open_image, read_bytes
from pipeline_src.data.detection.objects import Objects, fit_to_image
from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.detection.voc_xml import parse_voc_xml


@dataclass
class CheckedDetection:
    """What was found: the objects that training sees, and how many boxes were clipped and skipped.

    `annotation.digest` is empty where the reader has read the file already. `problems` are without
    the record's name.
    """

    image: CheckedFile
    annotation: CheckedFile
    objects: Objects = field(default_factory=lambda: fit_to_image((), (0, 0))[0])
    clipped: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    rotated: bool = False


def check_detection(root: Path, labels: Mapping[str, int], record: DetectionRecord) -> CheckedDetection:
    """Decode the image of a record below `root`, parse its annotation, and fit the boxes to the image.

    `labels` maps class names to labels. Never raises for a bad file: every finding is in `problems`,
    with the file's name and what would be right.
    """
    found = CheckedDetection(CheckedFile(record.image), CheckedFile(record.annotation))
    image = open_image(root, found.image, found.problems)
    size, annotated = record.size, record.objects
    if annotated is None:
        data = read_bytes(root, found.annotation, "annotation", found.problems)
        if data is None:
            return found
        parsed = parse_voc_xml(data, record.annotation, labels, record.pixels)
        found.problems += parsed.problems
        size, annotated = parsed.size, tuple(parsed.objects)
    if image is None:
        return found
    found.rotated = is_rotated(image)
    if size is not None and size != image.size:
        turned = "; the image carries a rotation (EXIF), apply it to its pixels" if found.rotated else ""
        found.problems.append(
            f"image {record.image} is {image.width}x{image.height} but its annotation says "
            f"{size[0]}x{size[1]}{turned}"
        )
    if not found.problems:
        found.objects, found.clipped, found.skipped = fit_to_image(annotated, image.size)
    return found
