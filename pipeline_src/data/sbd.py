"""The Semantic Boundaries Dataset's masks as PNG files beside VOC2012, and the `trainaug` list.

SBD labels images of VOC2011/2012 that VOC itself did not label. VOC2012's own masks are kept where
they exist, so `aug` = SBD train and val without VOC2012 train and val (9,118 images), and
`trainaug` = VOC2012 train (1,464) and `aug`: 10,582 images.
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
from PIL import Image
from scipy.io import loadmat

from pipeline_src.data.progress import Progress, say
from pipeline_src.errors import InputError
from pipeline_src.files import write_text

COMPLETE = {"sbd": 11355, "aug": 9118, "trainaug": 10582}
"""Number of images in the lists of the complete data sets."""

NUM_CLASSES = 21

_MAT = re.compile(r"(?:.*/)?cls/([A-Za-z0-9_-]+)\.mat")
_LIST = re.compile(r"(?:.*/)?(train|val)\.txt")


def convert_sbd(archive: Path, folder: Path, voc_root: Path | None = None) -> dict[str, Any]:
    """Write SBD's masks and lists into `folder`, reading the archive once, front to back.

    Makes `SegmentationClassAug/<id>.png` (8-bit palette masks, VOC's colours, ids 0..20) for every
    image of SBD's train and val, and `ImageSets/Segmentation/sbd.txt`. With `voc_root`, the
    extracted VOC2012 trainval, only the images of `aug` get a mask, and the lists are `aug.txt` and
    `trainaug.txt`. Returns the counts, whether they are those of the complete data sets, and
    `masks`, a digest over all ids and pixels. Raises `InputError` that names the member for a mask
    that cannot be read, has other ids, or is listed but not there.
    """
    voc = {name: _read_voc_list(voc_root, name) if voc_root else [] for name in ("train", "val")}
    labelled_by_voc = {*voc["train"], *voc["val"]}
    lists: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    masks = folder / "SegmentationClassAug"
    masks.mkdir(parents=True)
    try:
        with (
            open(archive, "rb") as raw,
            Progress(f"convert {archive.name}", archive.stat().st_size) as progress,
            tarfile.open(fileobj=raw, mode="r|*") as tar,
        ):
            position = 0
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is not None and (mat := _MAT.fullmatch(member.name)):
                    if mat[1] not in labelled_by_voc:
                        mask = read_mask(stream.read(), f"{archive}: {member.name}")
                        _write_png(masks / f"{mat[1]}.png", mask)
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
    listed = sorted({*lists["train"], *lists["val"]} - labelled_by_voc)
    for record in listed:
        if record not in digests:
            raise InputError(f"{archive}: {record} is listed but cls/{record}.mat is not there")
    for record in digests.keys() - set(listed):
        (masks / f"{record}.png").unlink()
    written = {"aug": listed, "trainaug": sorted({*voc["train"], *listed})} if voc_root else {"sbd": listed}
    for name, records in written.items():
        write_text(folder / "ImageSets" / "Segmentation" / f"{name}.txt", "".join(f"{r}\n" for r in records))
    counts = {name: len(records) for name, records in written.items()}
    full = {name: COMPLETE[name] for name in written}
    if counts != full:
        say(f"{archive.name}: {counts} images; the complete data sets have {full}")
    pixels = hashlib.sha256("".join(f"{record} {digests[record]}\n" for record in listed).encode())
    return {"counts": counts, "complete": counts == full, "masks": pixels.hexdigest()}


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


def voc_palette() -> list[int]:
    """VOC's 256 colours as a flat RGB list: the bits of the class id, spread over the channels."""
    colours = []
    for index in range(256):
        for channel in range(3):
            bits = [(index >> (3 * step + channel)) & 1 for step in range(3)]
            colours.append(sum(bit << (7 - step) for step, bit in enumerate(bits)))
    return colours


def _read_voc_list(root: Path, name: str) -> list[str]:
    path = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / f"{name}.txt"
    try:
        return path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such list; SBD's lists are made from those of VOC2012 trainval"
        ) from None


def _write_png(path: Path, mask: npt.NDArray[np.uint8]) -> None:
    image = Image.fromarray(mask)
    image.putpalette(voc_palette())
    image.save(path, optimize=False)


def _digest(mask: npt.NDArray[np.uint8]) -> str:
    return hashlib.sha256(f"{mask.shape}".encode() + mask.tobytes()).hexdigest()
