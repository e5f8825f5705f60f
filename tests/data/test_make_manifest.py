import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data import make_manifest as manifest_module
from pipeline_src.data import make_manifest as module
from pipeline_src.data.fingerprint import DigestCache
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.mask_folders import read_masks
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.errors import InputError
from pipeline_src.tasks.segmentation.manifest import MaskChecks


def listings(root, splits):
    return {name: read_masks([root], name, spec) for name, spec in splits.items()}


@pytest.fixture
def build(masks_splits):
    def run(root, num_classes=3, ignore_index=11, **options):
        return build_manifest(
            listings(root, masks_splits), MaskChecks(LabelSpace.of(num_classes, ignore_index)), **options
        )

    return run


def refusal(build, root, **options):
    with pytest.raises(InputError) as caught:
        build(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_counts_pixels_and_sizes_of_every_split(masks_folder, build):
    root = masks_folder()
    built = build(root)
    for split, stems in (("train", "abc"), ("val", "de")):
        masks = [np.asarray(Image.open(root / f"{split}annot" / f"{stem}.png")) for stem in stems]
        pixels = np.concatenate([mask.ravel() for mask in masks])
        facts = built.facts["splits"][split]
        assert facts["images"] == len(stems)
        assert facts["counted"]["by_class"] == [int((pixels == label).sum()) for label in range(3)]
        assert facts["counted"]["left_out"] == int((pixels == 11).sum()) > 0
        heights, widths = zip(*(mask.shape for mask in masks))
        assert facts["smallest"] == [min(widths), min(heights)]
        assert facts["largest"] == [max(widths), max(heights)]
        assert [row["id"] for row in built.index["splits"][split]] == list(stems)
    assert built.facts["ignore_index"] == 255 and built.facts["label_map"][11] == 255
    assert built.facts["warnings"] == [] and built.facts["fingerprint"] is None


def test_content_follows_pixels_order_and_labels_but_not_the_place(masks_folder, build, tmp_path):
    root = masks_folder()
    first = build(root)
    assert build(root).content == first.content
    moved = root.rename(tmp_path / "elsewhere")
    assert build(moved).content == first.content
    assert build(moved, num_classes=4).content != first.content
    (moved / "train/a.png").rename(moved / "train/z.png")
    (moved / "trainannot/a.png").rename(moved / "trainannot/z.png")
    renamed = build(moved)
    assert renamed.content != first.content
    path = moved / "trainannot/z.png"
    mask = np.array(Image.open(path))
    mask[0, 0] = (mask[0, 0] + 1) % 3
    Image.fromarray(mask).save(path)
    assert build(moved).content not in (first.content, renamed.content)


def test_pool_gives_the_same_as_one_process(masks_folder, build, monkeypatch):
    root = masks_folder()
    alone = build(root)
    monkeypatch.setattr(module, "POOL_FROM", 1)
    assert build(root, workers=2) == alone


def truncate(path):
    path.write_bytes(path.read_bytes()[:-30])


def damage_png(path):
    """A PNG whose pixel data is cut inside a well-formed file."""
    data = zlib.compress(b"\0\1\2")
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def save(path, array):
    Image.fromarray(array).save(path)


def recolour(path, mode):
    Image.open(path).convert(mode).save(path)


BAD = {
    "missing mask": (
        lambda root: (root / "trainannot/b.png").unlink(),
        r"train record 'b': mask trainannot/b\.png is missing in .*own",
    ),
    "truncated image": (
        lambda root: truncate(root / "val/d.png"),
        r"val record 'd': image val/d\.png cannot be decoded: .*truncated",
    ),
    "truncated mask": (
        lambda root: truncate(root / "valannot/d.png"),
        r"val record 'd': mask valannot/d\.png cannot be decoded: .*truncated",
    ),
    "damaged mask": (
        lambda root: damage_png(root / "valannot/d.png"),
        r"val record 'd': mask valannot/d\.png cannot be decoded: ",
    ),
    "empty file": (
        lambda root: (root / "train/a.png").write_bytes(b""),
        r"train record 'a': image train/a\.png cannot be decoded: it is empty",
    ),
    "no image": (
        lambda root: (root / "train/a.png").write_text("<html>not found</html>"),
        r"train record 'a': image train/a\.png cannot be decoded: it is not in a known image format",
    ),
    "other size": (
        lambda root: save(root / "trainannot/c.png", np.zeros((3, 7), dtype=np.uint8)),
        r"train record 'c': image train/c\.png is \d+x\d+ but mask trainannot/c\.png is 7x3$",
    ),
    "id outside": (
        lambda root: save(
            root / "trainannot/c.png",
            np.full(np.asarray(Image.open(root / "trainannot/c.png")).shape, 7, dtype=np.uint8),
        ),
        r"train record 'c': mask trainannot/c\.png holds id 7 \(\d+ pixels\); "
        r"allowed are 0\.\.2 and the ignore index 11$",
    ),
    "colour mask": (
        lambda root: recolour(root / "trainannot/a.png", "RGB"),
        r"mask trainannot/a\.png is a colour image, not an index image; save each pixel's class id",
    ),
    "16-bit mask": (
        lambda root: recolour(root / "trainannot/a.png", "I;16"),
        r"mask trainannot/a\.png has more than 8 bits a pixel \(I;16\); save each pixel's class id",
    ),
    "1-bit mask": (
        lambda root: recolour(root / "trainannot/a.png", "1"),
        r"mask trainannot/a\.png has pixels of type 1; save each pixel's class id",
    ),
    "16-bit image": (
        lambda root: recolour(root / "train/a.png", "I;16"),
        r"image train/a\.png has pixels of type I;16; save it with 8 bits a channel",
    ),
    "unlabelled split": (
        lambda root: [
            save(path, np.full(np.asarray(Image.open(path)).shape, 11, dtype=np.uint8))
            for path in (root / "valannot").iterdir()
        ],
        r"split 'val': no pixel of its masks is labelled",
    ),
    "empty split": (
        lambda root: [path.unlink() for path in (root / "val").iterdir()],
        r"split 'val': no record in val, valannot below .*own",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_record_is_named_in_one_line(masks_folder, build, case):
    root = masks_folder()
    spoil, message = BAD[case]
    spoil(root)
    with pytest.raises(InputError, match=message):
        build(root)
    assert "(and" not in refusal(build, root)


def test_record_listed_twice_is_named(masks_folder, build, masks_splits):
    root = masks_folder()
    (root / "train.txt").write_text("a\nb\na.png\n")
    masks_splits["train"]["list"] = "train.txt"
    assert refusal(build, root) == "train record 'a': is listed 2 times"


def test_all_problems_are_collected_and_the_first_is_told(masks_folder, build, tmp_path):
    root = masks_folder()
    (root / "trainannot/b.png").unlink()
    truncate(root / "val/d.png")
    recolour(root / "valannot/e.png", "RGB")
    path = tmp_path / "manifest.json.problems.txt"
    message = refusal(build, root, problems_path=path)
    assert message.startswith("train record 'b'") and message.endswith(f"(and 2 more, see {path})")
    lines = path.read_text().splitlines()
    assert len(lines) == 3 and lines[0] == message.split(" (and ")[0]
    assert lines[1].startswith("val record 'd'") and lines[2].startswith("val record 'e'")
    masks_folder(seed=1)
    build(root, problems_path=path)
    assert not path.exists()


def test_images_that_two_splits_share_are_a_warning(masks_folder, build):
    root = masks_folder()
    for kind in ("", "annot"):
        (root / f"val{kind}/copy.png").write_bytes((root / f"train{kind}/b.png").read_bytes())
    assert build(root).facts["warnings"] == ["train and val share 1 images, first 'copy'"]


def test_any_two_of_several_splits_may_share_images(masks_folder, masks_splits):
    root = masks_folder()
    splits = {**masks_splits, "again": masks_splits["train"]}
    assert list(splits) == ["train", "val", "again"]
    built = build_manifest(listings(root, splits), MaskChecks(LabelSpace.of(3, 11)))
    assert built.facts["warnings"] == ["train and again share 3 images, first 'a'"]


def test_images_are_shared_whatever_their_masks_show(masks_folder, build):
    """Another mask on the same image makes no other image, nor the same mask on another image the same."""
    root = masks_folder()
    (root / "val/copy.png").write_bytes((root / "train/b.png").read_bytes())
    with Image.open(root / "trainannot/b.png") as mask:
        other = np.asarray(mask)[::-1]
        assert (other != np.asarray(mask)).any()
        Image.fromarray(other).save(root / "valannot/copy.png")
    assert build(root).facts["warnings"] == ["train and val share 1 images, first 'copy'"]
    with Image.open(root / "val/copy.png") as image:
        changed = 255 - np.asarray(image)
    Image.fromarray(changed).save(root / "val/copy.png")
    (root / "valannot/copy.png").write_bytes((root / "trainannot/b.png").read_bytes())
    assert build(root).facts["warnings"] == []


def test_masks_without_images_are_a_warning(masks_folder, build):
    root = masks_folder()
    (root / "train/b.png").unlink()
    assert build(root).facts["warnings"] == ["train: 1 masks in trainannot have no image, first 'b'"]


def test_rotation_in_exif_is_told_with_the_size_mismatch_that_it_explains(masks_folder, build, masks_splits):
    root = masks_folder()
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = Image.open(root / "trainannot/a.png")
    square = Image.new("RGB", mask.size)
    (root / "train/a.png").unlink()
    square.save(root / "train/a.jpg", exif=exif)
    assert "train record 'a': 1 images of the split carry a rotation (EXIF)" in refusal(build, root)
    for spec in masks_splits.values():
        spec["rotation"] = "ignore"
    assert build(root).facts["warnings"] == [
        "train: 1 images carry a rotation (EXIF), which is not applied; first 'a'"
    ]
    Image.new("RGB", (mask.width + 1, mask.height)).save(root / "train/a.jpg", exif=exif)
    assert refusal(build, root).endswith("the image carries a rotation (EXIF), apply it to its pixels")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "LA"])
def test_usual_kinds_of_images_are_accepted(masks_folder, build, mode):
    root = masks_folder()
    path = root / "train/a.png"
    image = Image.open(path).convert(mode)
    path.unlink()
    image.save(path.with_suffix(".tif"))
    assert build(root).facts["splits"]["train"]["images"] == 3


def test_palette_and_grey_masks_say_the_same(masks_folder, build):
    root = masks_folder()
    grey = build(root).facts["splits"]
    for path in (root / "trainannot").iterdir():
        mask = Image.open(path)
        mask.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
        buffer = io.BytesIO()
        mask.save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
        assert Image.open(path).mode == "P"
    assert build(root).facts["splits"] == grey


def test_files_that_change_while_they_are_read_are_refused(masks_folder, build, tmp_path, monkeypatch):
    """What was checked first may be gone: the fingerprint before is compared with the one after."""
    root = masks_folder()
    cache = DigestCache(tmp_path / "cache.json", root)
    whole = manifest_module._check_all

    def check_and_change(*arguments):
        yield from whole(*arguments)
        late = root / "trainannot" / "a.png"
        late.write_bytes(late.read_bytes() + b"more")

    monkeypatch.setattr(manifest_module, "_check_all", check_and_change)
    assert "files changed while they were read; start again" in refusal(build, root, cache=cache)
    assert not (tmp_path / "cache.json").exists()
