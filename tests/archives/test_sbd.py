"""SBD's .mat masks become VOC-style PNG files, in agreement with torchvision's own reader."""

import io
import random
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from pipeline_src.data.sbd import COMPLETE, convert_sbd, read_mask, voc_palette
from pipeline_src.errors import InputError


def mat_bytes(mask: np.ndarray) -> bytes:
    """A file laid out as SBD's: struct GTcls with Boundaries (20 sparse maps), Segmentation, categories."""
    boundaries = np.empty((20, 1), dtype=object)
    for index in range(20):
        boundaries[index, 0] = csc_matrix((mask == index + 1).astype(np.float64))
    categories = np.unique(mask[mask > 0]).reshape(-1, 1)
    data = io.BytesIO()
    savemat(
        data,
        {"GTcls": {"Boundaries": boundaries, "Segmentation": mask, "CategoriesPresent": categories}},
        do_compression=True,
    )
    return data.getvalue()


def random_mask(draw: random.Random) -> np.ndarray:
    shape = (draw.randrange(1, 60), draw.randrange(1, 60))
    return np.random.default_rng(draw.randrange(10**6)).integers(0, 21, shape, dtype=np.uint8)


class Sets:
    """A small VOC2012 and SBD whose lists overlap as the real ones do."""

    def __init__(self, folder: Path, seed: int = 0):
        draw = random.Random(seed)
        names = [f"2008_{number:06d}" for number in draw.sample(range(10**6), 20)]
        self.voc_train, self.voc_val = names[:4], names[4:8]
        # two of VOC's train and two of its val images are in SBD's lists as well
        self.sbd_train, self.sbd_val = names[2:5] + names[8:15], names[5:6] + names[15:20]
        self.masks = {name: random_mask(draw) for name in (*self.sbd_train, *self.sbd_val)}
        self.aug = sorted(names[8:])
        self.voc = folder / "voc"
        lists = self.voc / "VOCdevkit/VOC2012/ImageSets/Segmentation"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text("\n".join(self.voc_train) + "\n")
        (lists / "val.txt").write_text("\n".join(self.voc_val) + "\n")
        self.members = {f"cls/{name}.mat": mat_bytes(mask) for name, mask in self.masks.items()}
        self.members["train.txt"] = "".join(f"{name}\n" for name in self.sbd_train).encode()
        self.members["val.txt"] = "".join(f"{name}\n" for name in self.sbd_val).encode()

    def pack(self, path: Path) -> Path:
        with tarfile.open(path, "w:gz") as tar:
            for name, data in self.members.items():
                member = tarfile.TarInfo(f"benchmark_RELEASE/dataset/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return path


@pytest.mark.parametrize("seed", range(3))
def test_masks_and_lists_are_those_of_the_archive(tmp_path: Path, seed: int):
    sets = Sets(tmp_path, seed)
    facts = convert_sbd(sets.pack(tmp_path / "benchmark.tgz"), tmp_path / "sbd", sets.voc)
    written = sorted((tmp_path / "sbd/SegmentationClassAug").iterdir())
    assert [path.stem for path in written] == sets.aug
    for path in written:
        with Image.open(path) as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), sets.masks[path.stem])
    lists = tmp_path / "sbd/ImageSets/Segmentation"
    assert (lists / "aug.txt").read_text().split() == sets.aug
    assert (lists / "trainaug.txt").read_text().split() == sorted([*sets.voc_train, *sets.aug])
    assert facts["counts"] == {"aug": 12, "trainaug": 16}
    assert facts["complete"] is False


def test_without_voc2012_every_listed_image_gets_its_mask(tmp_path: Path):
    sets = Sets(tmp_path)
    facts = convert_sbd(sets.pack(tmp_path / "benchmark.tgz"), tmp_path / "sbd")
    assert sorted(path.stem for path in (tmp_path / "sbd/SegmentationClassAug").iterdir()) == sorted(
        sets.masks
    )
    lists = tmp_path / "sbd/ImageSets/Segmentation"
    assert [path.name for path in lists.iterdir()] == ["sbd.txt"]
    assert (lists / "sbd.txt").read_text().split() == sorted({*sets.sbd_train, *sets.sbd_val})
    assert facts["counts"] == {"sbd": 16} and facts["complete"] is False


def test_masks_agree_with_torchvisions_reader(tmp_path: Path):
    from torchvision.datasets import SBDataset

    sets = Sets(tmp_path)
    archive = sets.pack(tmp_path / "benchmark.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "raw", filter="data")
    dataset = tmp_path / "raw/benchmark_RELEASE/dataset"
    (dataset / "img").mkdir()
    for name in sets.sbd_train:
        Image.new("RGB", (2, 2)).save(dataset / "img" / f"{name}.jpg")
    theirs = SBDataset(str(dataset), image_set="train", mode="segmentation")
    for name, (_, target) in zip(sets.sbd_train, theirs, strict=True):
        np.testing.assert_array_equal(read_mask(sets.members[f"cls/{name}.mat"], name), np.asarray(target))


def test_the_digest_sees_every_pixel_and_no_packaging(tmp_path: Path):
    sets = Sets(tmp_path)
    first = convert_sbd(sets.pack(tmp_path / "a.tgz"), tmp_path / "a", sets.voc)
    sets.members = dict(reversed(sets.members.items()))  # lists first, masks in another order
    assert convert_sbd(sets.pack(tmp_path / "b.tgz"), tmp_path / "b", sets.voc) == first
    name = sets.aug[3]
    sets.masks[name][0, 0] = (sets.masks[name][0, 0] + 1) % 21
    sets.members[f"cls/{name}.mat"] = mat_bytes(sets.masks[name])
    assert convert_sbd(sets.pack(tmp_path / "c.tgz"), tmp_path / "c", sets.voc)["masks"] != first["masks"]


def test_a_partial_set_is_reported_and_the_full_one_would_not_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    sets = Sets(tmp_path)
    archive = sets.pack(tmp_path / "benchmark.tgz")
    convert_sbd(archive, tmp_path / "a", sets.voc)
    assert "the complete data sets have {'aug': 9118, 'trainaug': 10582}" in capsys.readouterr().err
    monkeypatch.setitem(COMPLETE, "aug", 12)
    monkeypatch.setitem(COMPLETE, "trainaug", 16)
    assert convert_sbd(archive, tmp_path / "b", sets.voc)["complete"] is True
    assert capsys.readouterr().err == ""


def break_mat(sets: Sets) -> str:
    sets.members[f"cls/{sets.aug[0]}.mat"] = b"not a mat file" * 20
    return f"cls/{sets.aug[0]}.mat: not an SBD mask"


def other_struct(sets: Sets) -> str:
    data = io.BytesIO()
    savemat(data, {"GTinst": {"Segmentation": np.zeros((3, 3), np.uint8)}})
    sets.members[f"cls/{sets.aug[0]}.mat"] = data.getvalue()
    return f"cls/{sets.aug[0]}.mat: not an SBD mask"


def unknown_class(sets: Sets) -> str:
    sets.members[f"cls/{sets.aug[1]}.mat"] = mat_bytes(np.full((3, 5), 21, np.uint8))
    return f"cls/{sets.aug[1]}.mat: has class id 21, expected 0..20"


def fractions(sets: Sets) -> str:
    sets.members[f"cls/{sets.aug[1]}.mat"] = mat_bytes(np.full((3, 5), 0.5))
    return "is float64 (3, 5), expected whole numbers"


def missing_mask(sets: Sets) -> str:
    del sets.members[f"cls/{sets.aug[2]}.mat"]
    return f"{sets.aug[2]} is listed but cls/{sets.aug[2]}.mat is not there"


def missing_list(sets: Sets) -> str:
    del sets.members["val.txt"]
    return "has no val.txt"


def missing_voc(sets: Sets) -> str:
    path = sets.voc / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    path.unlink()
    return f"{path}: no such list"


@pytest.mark.parametrize(
    "fault", [break_mat, other_struct, unknown_class, fractions, missing_mask, missing_list, missing_voc]
)
def test_a_fault_is_named_with_its_record(tmp_path: Path, fault):
    sets = Sets(tmp_path)
    message = fault(sets)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        convert_sbd(sets.pack(tmp_path / "benchmark.tgz"), tmp_path / "sbd", sets.voc)
    assert "\n" not in str(caught.value)


def test_a_mask_in_no_list_is_left_out(tmp_path: Path):
    sets = Sets(tmp_path)
    sets.members["cls/2099_000001.mat"] = mat_bytes(np.zeros((2, 2), np.uint8))
    convert_sbd(sets.pack(tmp_path / "benchmark.tgz"), tmp_path / "sbd", sets.voc)
    assert not (tmp_path / "sbd/SegmentationClassAug/2099_000001.png").exists()


def test_a_cut_off_archive_is_named(tmp_path: Path):
    sets = Sets(tmp_path)
    archive = sets.pack(tmp_path / "benchmark.tgz")
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"benchmark\.tgz: damaged"):
        convert_sbd(archive, tmp_path / "sbd", sets.voc)


def test_the_palette_has_vocs_published_colours():
    palette = np.array(voc_palette()).reshape(256, 3)
    assert palette[[0, 1, 2, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
    assert len({tuple(colour) for colour in palette.tolist()}) == 256


def test_the_palette_is_that_of_real_voc_masks(real_data: Path):
    masks = sorted((real_data / "voc2012_sample/VOCdevkit/VOC2012/SegmentationClass").glob("*.png"))
    with Image.open(masks[0]) as image:
        theirs = image.getpalette()
    assert theirs is not None and theirs[: 21 * 3] == voc_palette()[: 21 * 3]
