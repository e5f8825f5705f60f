"""Detections in the format of Cityscapes' instance evaluation: its command's and its server's.

A text file for every image, `<id>_pred.txt`, names one PNG mask a line, with the label id and the score. The
server takes all of it as a zip.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from pipeline_src.data.instances.outlines import unpack
from pipeline_src.evaluation.detections import Detections, ImageId
from pipeline_src.files import atomic_path

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def instance_files(
    detections: Detections, sizes: Mapping[ImageId, tuple[int, int]], label_ids: Sequence[int]
) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file; `sizes` are (height, width), `label_ids` those of labels 1, 2, ...."""
    for image_id in detections.images:
        part, (height, width) = detections[image_id], sizes[image_id]
        lines = []
        for place, (label, score) in enumerate(zip(part.label.tolist(), part.score.tolist(), strict=True)):
            name = f"{image_id}_{place:03d}.png"
            buffer = io.BytesIO()
            Image.fromarray(unpack(part.outline[place], (width, height)) * 255).save(buffer, format="PNG")
            lines.append(f"masks/{name} {label_ids[label - 1]} {score!r}\n")
            yield f"masks/{name}", buffer.getvalue()
        yield f"{image_id}_pred.txt", "".join(lines).encode()


def write_instances(
    path: str | Path,
    detections: Detections,
    sizes: Mapping[ImageId, tuple[int, int]],
    label_ids: Sequence[int],
) -> None:
    """Write the server's zip; same detections, same bytes."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, content in instance_files(detections, sizes, label_ids):
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DAY), content)
