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

from pipeline_src.data.sbd import COMPLETE, convert_sbd, read_mask
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
    """A small SBD."""

    def __init__(self, seed: int = 0):
        draw = random.Random(seed)
        names = [f"2008_{number:06d}" for number in draw.sample(range(10**6), 20)]
        self.sbd_train, self.sbd_val = names[4:14], names[14:]
        self.masks = {name: random_mask(draw) for name in (*self.sbd_train, *self.sbd_val)}
        self.names = sorted(self.masks)
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
    sets = Sets(seed)
    facts = convert_sbd(sets.pack(tmp_path / "benchmark.tgz"), tmp_path / "sbd")
    written = sorted((tmp_path / "sbd/SegmentationClassAug").iterdir())
    assert [path.stem for path in written] == sets.names
    for path in written:
        with Image.open(path) as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), sets.masks[path.stem])
    lists = tmp_path / "sbd/ImageSets/Segmentation"
    assert [path.name for path in lists.iterdir()] == ["sbd.txt"]
    assert (lists / "sbd.txt").read_text().split() == sets.names
    assert facts["masks"] == 16 and facts["complete"] is False


def test_masks_agree_with_torchvisions_reader(tmp_path: Path):
    from torchvision.datasets import SBDataset

    sets = Sets()
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
    sets = Sets()
    first = convert_sbd(sets.pack(tmp_path / "a.tgz"), tmp_path / "a")
    sets.members = dict(reversed(sets.members.items()))  # lists first, masks in another order
    assert convert_sbd(sets.pack(tmp_path / "b.tgz"), tmp_path / "b") == first
    name = sets.names[3]
    sets.masks[name][0, 0] = (sets.masks[name][0, 0] + 1) % 21
    sets.members[f"cls/{name}.mat"] = mat_bytes(sets.masks[name])
    assert convert_sbd(sets.pack(tmp_path / "c.tgz"), tmp_path / "c")["pixels"] != first["pixels"]


def test_a_partial_set_is_reported_and_the_full_one_would_not_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    sets = Sets()
    archive = sets.pack(tmp_path / "benchmark.tgz")
    convert_sbd(archive, tmp_path / "a")
    assert f"16 images; the complete data set has {COMPLETE}" in capsys.readouterr().err
    monkeypatch.setattr("pipeline_src.data.sbd.COMPLETE", 16)
    assert convert_sbd(archive, tmp_path / "b")["complete"] is True
    assert capsys.readouterr().err == ""


def break_mat(sets: Sets) -> str:
    sets.members[f"cls/{sets.names[0]}.mat"] = b"not a mat file" * 20
    return f"cls/{sets.names[0]}.mat: not an SBD mask"


def other_struct(sets: Sets) -> str:
    data = io.BytesIO()
    savemat(data, {"GTinst": {"Segmentation": np.zeros((3, 3), np.uint8)}})
    sets.members[f"cls/{sets.names[0]}.mat"] = data.getvalue()
    return f"cls/{sets.names[0]}.mat: not an SBD mask"


def unknown_class(sets: Sets) -> str:
    sets.members[f"cls/{sets.names[1]}.mat"] = mat_bytes(np.full((3, 5), 21, np.uint8))
    return f"cls/{sets.names[1]}.mat: has class id 21, expected 0..20"


def fractions(sets: Sets) -> str:
    sets.members[f"cls/{sets.names[1]}.mat"] = mat_bytes(np.full((3, 5), 0.5))
    return "is float64 (3, 5), expected whole numbers"


def missing_mask(sets: Sets) -> str:
    del sets.members[f"cls/{sets.names[2]}.mat"]
    return f"{sets.names[2]} is listed but cls/{sets.names[2]}.mat is not there"


def missing_list(sets: Sets) -> str:
    del sets.members["val.txt"]
    return "has no val.txt"


@pytest.mark.parametrize(
    "fault", [break_mat, other_struct, unknown_class, fractions, missing_mask, missing_list]
)
def test_a_fault_is_named_with_its_record(tmp_path: Path, fault):
    sets = Sets()
    message = fault(sets)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        convert_sbd(sets.pack(tmp_path / "benchmark.tgz"), tmp_path / "sbd")
    assert "\n" not in str(caught.value)


def test_a_mask_in_no_list_is_left_out(tmp_path: Path):
    sets = Sets()
    sets.members["cls/2099_000001.mat"] = mat_bytes(np.zeros((2, 2), np.uint8))
    convert_sbd(sets.pack(tmp_path / "benchmark.tgz"), tmp_path / "sbd")
    assert not (tmp_path / "sbd/SegmentationClassAug/2099_000001.png").exists()


def test_a_cut_off_archive_is_named(tmp_path: Path):
    sets = Sets()
    archive = sets.pack(tmp_path / "benchmark.tgz")
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"benchmark\.tgz: damaged"):
        convert_sbd(archive, tmp_path / "sbd")


def test_the_digest_sees_shapes_and_ids(tmp_path: Path):
    """The same pixels in rows of another length, or under another name in the same place, are other masks."""
    sets = Sets(1)
    first = convert_sbd(sets.pack(tmp_path / "a.tgz"), tmp_path / "a")["pixels"]
    name, mask = next((name, mask) for name, mask in sets.masks.items() if len(set(mask.shape)) == 2)
    sets.members[f"cls/{name}.mat"] = mat_bytes(mask.reshape(mask.shape[::-1]))
    assert convert_sbd(sets.pack(tmp_path / "b.tgz"), tmp_path / "b")["pixels"] != first

    sets, last = Sets(1), max(Sets(1).names)
    for key in ("train.txt", "val.txt"):
        sets.members[key] = sets.members[key].replace(last.encode(), f"{last}0".encode())
    sets.members[f"cls/{last}0.mat"] = sets.members.pop(f"cls/{last}.mat")
    assert convert_sbd(sets.pack(tmp_path / "c.tgz"), tmp_path / "c")["pixels"] != first
