"""Opens one detection record, image and annotation, and says what is wrong with it or what is in it.

Runs in the processes of a pool, so it takes and returns plain values. NumPy and Pillow only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_src.data.check_file import Checked, CheckedFile, check_size, is_rotated, open_image, read_bytes
from pipeline_src.data.detection.objects import Objects, fit_to_image
from pipeline_src.data.detection.records import DetectionRecord
from pipeline_src.data.detection.voc_xml import parse_voc_xml
from pipeline_src.data.detection.yolo_txt import parse_yolo


@dataclass
class CheckedBoxes(Checked):
    """The objects that training sees, and how many boxes were clipped and skipped."""

    objects: Objects = field(default_factory=lambda: fit_to_image((), (0, 0))[0])
    clipped: int = 0
    skipped: int = 0


def check_record(labels: Mapping[str, int], root: Path, record: DetectionRecord) -> CheckedBoxes:
    """Decode the image of a record below `root`, parse its annotation, and fit the boxes to the image.

    `labels` maps class names to labels. Never raises for a bad file: every finding is in `problems`,
    with the file's name and what would be right.
    """
    found = CheckedBoxes(CheckedFile(record.image), CheckedFile(record.annotation))
    image = open_image(root, found.image, found.problems)
    size, annotated = record.size, record.objects
    if annotated is None:
        data = read_bytes(root, found.annotation, "annotation", found.problems)
        if data is None:
            return found
        if record.form == "yolo":
            # fractions are of the image, whose size only the image knows
            objects, problems = parse_yolo(
                data, record.annotation, len(labels), image.size if image else (1, 1)
            )
        else:
            parsed = parse_voc_xml(data, record.annotation, labels, record.pixels)
            size, objects, problems = parsed.size, parsed.objects, parsed.problems
        found.problems += problems
        annotated = tuple(objects)
    if image is None:
        return found
    found.rotated = is_rotated(image)
    if size is not None:
        check_size(found, "its annotation says", size)
    if not found.problems:
        found.objects, found.clipped, found.skipped = fit_to_image(annotated, image.size)
    return found
