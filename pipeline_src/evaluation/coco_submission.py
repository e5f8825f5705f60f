"""Detections in the format of the COCO evaluation server, over the images that it lists.

The server takes a zip with one JSON file in COCO's results format. Both are called
`[type]_[testset]_[alg]_results`, here `detections_test-dev2017_<run>_results`. NumPy only.
"""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from pipeline_src.errors import InputError
from pipeline_src.evaluation.detection_results import results_text
from pipeline_src.evaluation.detections import Detections, ImageId
from pipeline_src.files import atomic_path, read_json

IMAGES = "test2017"
"""The folder of the images, whichever of them are listed."""

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


class ListedImage(NamedTuple):
    """An image of a test set: COCO's id, its file, and (height, width) as the list says them."""

    id: int
    file: Path
    size: tuple[int, int]


def read_image_info(roots: Sequence[Path], name: str = "test-dev2017") -> list[ListedImage]:
    """The images that `annotations/image_info_<name>.json` lists, in the file's order.

    `roots` are folders that hold that file, or the images in `test2017` or `images/test2017`; they may be
    several, as the archives are.

    Raises `InputError` for a file, a folder or an image that is not there, a file that is not COCO's, an
    empty list, or an id twice.
    """
    file = f"annotations/image_info_{name}.json"
    places = ", ".join(map(str, roots))
    info = next((root / file for root in roots if (root / file).is_file()), None)
    if info is None:
        raise InputError(f"{places}: no {file}, which lists COCO's images to predict")
    folders = (root / place for root in roots for place in (IMAGES, f"images/{IMAGES}"))
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise InputError(f"{places}: no folder {IMAGES} or images/{IMAGES}, which holds COCO's test images")
    content = read_json(info)
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{info}: has no list of images; COCO's image info has one")
    if not entries:
        raise InputError(f"{info}: lists no image")
    listed = [_listed(info, folder, number, entry) for number, entry in enumerate(entries)]
    seen: set[int] = set()
    for image in listed:
        if image.id in seen:
            raise InputError(f"{info}: lists image {image.id} twice")
        if not image.file.is_file():
            raise InputError(f"{image.file}: no such file, though {info} lists it as image {image.id}")
        seen.add(image.id)
    return listed


def write_detections(
    path: str | Path,
    detections: Detections,
    categories: Sequence[int],
    sizes: Mapping[ImageId, tuple[int, int]] | None = None,
) -> None:
    """Write detections as the server's zip, with a JSON file of the zip's own name; same detections, same
    bytes.

    `categories[label - 1]` is COCO's own id of a class; with `sizes`, outlines are written, too.
    Raises `InputError` where nothing was detected in any image: COCO's tools do not read an empty list.
    """
    if not len(detections):
        raise InputError(
            f"{path}: nothing was detected in any of {len(detections.images)} images, and the server reads "
            "no empty list; train the run longer, or with a lower model.detector.test.score"
        )
    entry = zipfile.ZipInfo(f"{Path(path).stem}.json", _FIRST_DAY)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open(entry, "w") as file,
    ):
        for part in results_text(detections, categories, sizes):
            file.write(part.encode())


def _listed(info: Path, folder: Path, number: int, entry: Any) -> ListedImage:
    given: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    key, name = given.get("id"), given.get("file_name")
    height, width = given.get("height"), given.get("width")
    if not _is_int(key) or not isinstance(name, str) or not (_is_int(height) and _is_int(width)):
        raise InputError(
            f"{info}: image {number} of the list is {str(entry)[:80]!r}; it needs a file_name and the "
            "numbers id, width and height"
        )
    return ListedImage(key, folder / name, (height, width))


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
