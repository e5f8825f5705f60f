"""The Semantic Boundaries Dataset's masks as PNG files.

SBD labels images of VOC2011/2012 that VOC itself did not label; `data/readers/voc2012.py` makes the
set `trainaug` of both.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from pipeline_src.errors import InputError
from pipeline_src.evaluation.palette import index_image
from pipeline_src.files import write_text
from pipeline_src.progress import Progress, say

COMPLETE = 11355
"""Number of images in the lists of the complete data set."""

NUM_CLASSES = 21

_MAT = re.compile(r"(?:.*/)?cls/([A-Za-z0-9_-]+)\.mat")
_LIST = re.compile(r"(?:.*/)?(train|val)\.txt")


def convert_sbd(archive: Path, folder: Path) -> dict[str, Any]:
    """Write SBD's masks and their list into `folder`, reading the archive once, front to back.

    Makes `SegmentationClassAug/<id>.png` (8-bit palette masks, VOC's colours, ids 0..20) for every
    image of SBD's train and val, and `ImageSets/Segmentation/sbd.txt`. Returns the number of
    `masks`, whether they are `complete`, and `pixels`, a digest over all ids and pixels. Raises
    `InputError` that names the member for a mask that cannot be read, has other ids, or is listed
    but not there.
    """
    lists: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    masks = folder / "SegmentationClassAug"
    masks.mkdir(parents=True)
    try:
        with (
            open(archive, "rb") as raw,
            Progress(f"convert {archive.name}", archive.stat().st_size, "B") as progress,
            tarfile.open(fileobj=raw, mode="r|*") as tar,
        ):
            position = 0
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is not None and (mat := _MAT.fullmatch(member.name)):
                    mask = read_mask(stream.read(), f"{archive}: {member.name}")
                    index_image(mask).save(masks / f"{mat[1]}.png")
                    digests[mat[1]] = _digest(mask)
                elif stream is not None and (split := _LIST.fullmatch(member.name)):
                    lists[split[1]] = stream.read().decode().split()
                progress.update(raw.tell() - position)
                position = raw.tell()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{archive}: damaged ({error})") from None
    for name in ("train", "val"):
        if name not in lists:
            raise InputError(f"{archive}: has no {name}.txt; expected SBD's benchmark.tgz")
    listed = sorted({*lists["train"], *lists["val"]})
    for record in listed:
        if record not in digests:
            raise InputError(f"{archive}: {record} is listed but cls/{record}.mat is not there")
    for record in digests.keys() - set(listed):
        (masks / f"{record}.png").unlink()
    write_text(folder / "ImageSets" / "Segmentation" / "sbd.txt", "".join(f"{r}\n" for r in listed))
    if len(listed) != COMPLETE:
        say(f"{archive.name}: {len(listed)} images; the complete data set has {COMPLETE}")
    pixels = hashlib.sha256("".join(f"{record} {digests[record]}\n" for record in listed).encode())
    return {"masks": len(listed), "complete": len(listed) == COMPLETE, "pixels": pixels.hexdigest()}


def read_mask(data: bytes, where: str) -> npt.NDArray[np.uint8]:
    """The class ids `(H, W)` in the bytes of an SBD `.mat` file (`GTcls.Segmentation`)."""
    try:
        content = loadmat(io.BytesIO(data), variable_names=["GTcls"])
        mask = np.asarray(content["GTcls"]["Segmentation"][0, 0])
    except Exception as error:  # scipy raises whatever its parser meets in a damaged file
        raise InputError(f"{where}: not an SBD mask ({type(error).__name__}: {error})") from None
    if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "ui":
        raise InputError(
            f"{where}: GTcls.Segmentation is {mask.dtype} {mask.shape}, expected whole numbers (H, W)"
        )
    if mask.min() < 0 or mask.max() >= NUM_CLASSES:
        raise InputError(f"{where}: has class id {int(mask.max())}, expected 0..{NUM_CLASSES - 1}")
    return mask.astype(np.uint8)


def _digest(mask: npt.NDArray[np.uint8]) -> str:
    return hashlib.sha256(f"{mask.shape}".encode() + mask.tobytes()).hexdigest()
