"""Real data sets through the same readers, where FUSEBENCH_REAL_DATA names a folder that holds them."""

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data.labels import LabelSpace
from pipeline_src.data.manifest import build_manifest
from pipeline_src.data.readers.masks import read_masks
from pipeline_src.data.readers.voc2012 import read_voc2012


def need(folder):
    if not folder.is_dir():
        pytest.skip(f"no {folder.name}")
    return folder


def test_voc2012_sample(real_data):
    root = need(real_data / "voc2012_sample")
    listings = {name: read_voc2012([root], name, {"set": name}) for name in ("train", "val", "trainval")}
    built = build_manifest(listings, LabelSpace.of(21, 255), workers=2)
    facts = built.facts["splits"]
    assert [facts[name]["images"] for name in ("train", "val", "trainval")] == [43, 50, 93]
    for part in ("class_pixels", "ignored_pixels"):
        sums = np.add(facts["train"][part], facts["val"][part])
        assert np.array_equal(sums, facts["trainval"][part])
    assert built.facts["label_map"] is None


def test_camvid(real_data):
    root = need(real_data / "camvid")
    splits = {
        name: {"images": name, "masks": f"{name}annot", "list": f"{name}.txt"} for name in ("train", "val")
    }
    listings = {name: read_masks([root], name, spec) for name, spec in splits.items()}
    built = build_manifest(listings, LabelSpace.of(11, 11), workers=2)
    facts = built.facts["splits"]
    assert (facts["train"]["images"], facts["val"]["images"]) == (367, 101)
    assert facts["train"]["smallest"] == facts["val"]["largest"] == [480, 360]
    assert all(facts["train"]["class_pixels"]) and built.facts["label_map"][11] == 255
    listed = (root / "val.txt").read_text().split()
    assert [row["id"] for row in built.index["splits"]["val"]] == listed
    void = sum(int((np.asarray(Image.open(root / "valannot" / f"{key}.png")) == 11).sum()) for key in listed)
    assert facts["val"]["ignored_pixels"] == void
