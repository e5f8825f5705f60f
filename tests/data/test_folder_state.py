import os
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data import fingerprint as fingerprint_module
from pipeline_src.data.fingerprint import DigestCache
from pipeline_src.data.folder_state import folder_fingerprint, folder_state
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.mask_folders import MasksReader
from pipeline_src.data.readers.voc2012 import Voc2012Reader
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, write_json
from pipeline_src.tasks.segmentation.manifest import MaskChecks

OLD_NS = 1_600_000_000_000_000_000


READERS = {"masks": MasksReader, "voc2012": Voc2012Reader}


@pytest.fixture
def folder(masks_folder, masks_splits, tmp_path):
    """A user's folder whose manifest has been made; `state()` compares the two."""
    return Folder("masks", masks_folder(), masks_splits, tmp_path)


class Folder:
    def __init__(self, layout, root, splits, tmp_path):
        self.layout, self.root, self.splits = layout, root, splits
        self.manifest, self.cache = tmp_path / "res" / "manifest.json", tmp_path / "work" / "own.json"
        self.make_manifest()

    def make_manifest(self):
        read = READERS[self.layout].read
        listings = {name: read([self.root], name, spec) for name, spec in self.splits.items()}
        labels = (
            MaskChecks(LabelSpace.of(3, 11)) if self.layout == "masks" else MaskChecks(LabelSpace.of(21, 255))
        )
        cache = DigestCache(self.cache, next(iter(listings.values())).root)
        built = build_manifest(listings, labels, cache=cache)
        index = self.manifest.with_name("index.json")
        write_json(index, built.index)
        facts = {"dataset": "own", "index": str(index), "classes": ["x"], **built.facts}
        write_json(self.manifest, {"content": built.content, **facts})

    def state(self, **options):
        return folder_state(
            READERS[self.layout], self.root, self.splits, self.manifest, self.cache, **options
        )

    def repaint(self, name):
        path = self.root / name
        mask = np.array(Image.open(path))
        mask[0, 0] = (mask[0, 0] + 1) % 3
        Image.fromarray(mask).save(path)


def test_unchanged_folder_is_recognised_without_reading_a_file(folder, monkeypatch):
    monkeypatch.setattr(fingerprint_module, "digest_file", lambda path: pytest.fail(f"read {path}"))
    found = folder.state()
    assert (found.state, found.current, found.explain()) == ("unchanged", True, "data unchanged")


def test_without_a_manifest_nothing_is_known(folder):
    folder.manifest.unlink()
    found = folder.state()
    assert (found.state, found.current) == ("unknown", False)
    assert found.explain() == "data not compared: there is no manifest yet"
    assert found.fingerprint == folder_fingerprint(MasksReader, folder.root, folder.splits)


def test_changed_mask_is_named(folder):
    folder.repaint("trainannot/b.png")
    found = folder.state()
    assert (found.state, found.changed, found.current) == ("changed", ("trainannot/b.png",), False)
    assert found.explain() == "data changed: trainannot/b.png"
    folder.make_manifest()
    assert folder.state().state == "unchanged"


def test_a_change_stays_one_however_often_it_is_looked_at(folder):
    folder.repaint("trainannot/b.png")
    # long ago, so that what is found is remembered
    os.utime(folder.root / "trainannot/b.png", ns=(OLD_NS, OLD_NS + 1))
    assert [folder.state().state for _ in range(3)] == ["changed"] * 3


def test_touched_file_changes_nothing_and_only_it_is_read_once(folder, monkeypatch):
    os.utime(folder.root / "trainannot/b.png", ns=(OLD_NS, OLD_NS + 1))
    read = []
    monkeypatch.setattr(
        fingerprint_module, "digest_file", lambda path: read.append(path.name) or digest_file(path)
    )
    found = folder.state()
    assert (found.state, found.current) == ("touched", True)
    assert found.explain() == "data touched, but with the same content"
    assert read == ["b.png"]
    assert folder.state().state == "touched" and read == ["b.png"]


def test_deleted_image_or_mask_is_named(folder):
    (folder.root / "val/e.png").unlink()
    found = folder.state()
    assert (found.state, found.removed) == ("changed", ("val/e.png",))
    assert found.explain() == "data changed: 1 removed: val/e.png"
    (folder.root / "trainannot/a.png").unlink()
    assert folder.state().removed == ("trainannot/a.png", "val/e.png")


def test_added_image_is_named(folder):
    for kind in ("train", "trainannot"):
        shutil.copy(folder.root / kind / "a.png", folder.root / kind / "new.png")
    found = folder.state()
    assert (found.state, found.added) == ("changed", ("train/new.png",))
    assert found.explain() == "data changed: 1 added: train/new.png"


def test_file_that_belongs_to_no_record_is_only_a_touch(folder):
    (folder.root / "train/notes.txt").write_text("mine")
    assert folder.state().state == "touched"


def test_renamed_file_needs_a_new_index(folder):
    (folder.root / "trainannot/a.png").rename(folder.root / "trainannot/a.bmp")
    found = folder.state()
    assert (found.state, found.added, found.removed) == (
        "changed",
        ("trainannot/a.bmp",),
        ("trainannot/a.png",),
    )


def test_image_moved_to_the_other_split_is_named_once(folder):
    for split, stems in (("train", "a b c"), ("val", "d")):
        (folder.root / f"{split}.txt").write_text("\n".join(stems.split()))
        folder.splits[split] |= {"images": "img", "masks": "lab", "list": f"{split}.txt"}
    for kind, parts in (("img", ("train", "val")), ("lab", ("trainannot", "valannot"))):
        for part in parts:
            shutil.copytree(folder.root / part, folder.root / kind, dirs_exist_ok=True)
    folder.make_manifest()
    assert folder.state().state == "unchanged"
    (folder.root / "train.txt").write_text("a\nb\n")
    (folder.root / "val.txt").write_text("d\nc\n")
    found = folder.state()
    assert (found.moved, found.added, found.removed) == (("img/c.png",), (), ())
    (folder.root / "train.txt").write_text("b\na\nc\n")
    (folder.root / "val.txt").write_text("d\n")
    assert folder.state().explain() == "data changed: another order in split train"
    (folder.root / "train.txt").write_text("a\nlost\n")
    assert folder.state().explain() == (
        "data changed: train record 'lost': no image in img (listed in train.txt)"
    )


def test_many_changes_are_summed_up(folder):
    for name in "abc":
        folder.repaint(f"trainannot/{name}.png")
    for name in "de":
        folder.repaint(f"valannot/{name}.png")
    assert folder.state().explain() == (
        "data changed: trainannot/a.png, trainannot/b.png, trainannot/c.png and 2 more"
    )


def test_lost_cache_costs_reading_but_gives_the_same_answers(folder):
    os.utime(folder.root / "train/a.png", ns=(OLD_NS, OLD_NS + 1))
    folder.cache.unlink()
    assert folder.state().state == "touched"
    folder.cache.unlink()
    folder.repaint("valannot/d.png")
    assert folder.state().changed == ("valannot/d.png",)


def test_too_much_to_read_while_planning_is_left_to_the_job(folder):
    os.utime(folder.root / "train/a.png", ns=(OLD_NS, OLD_NS + 1))
    size = (folder.root / "train/a.png").stat().st_size
    assert folder.state(read_limit_bytes=size - 1).state == "unknown"
    assert folder.state(read_limit_bytes=size).state == "touched"


def test_manifest_of_another_root_split_or_format_is_not_compared(folder, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folder.root, moved)
    original, folder.root = folder.root, moved
    assert folder.state().explain() == f"data not compared: the manifest describes {original}"
    folder.root = original
    folder.splits["extra"] = folder.splits["val"]
    os.utime(folder.root / "val/d.png", ns=(OLD_NS, OLD_NS + 3))
    assert "has no split 'extra'" in folder.state().explain()
    folder.manifest.write_text("{}")
    assert "not a data manifest" in folder.state().explain()


def test_missing_folder_is_named(folder):
    shutil.rmtree(folder.root / "valannot")
    with pytest.raises(InputError, match="valannot: no such file or folder"):
        folder.state()
    shutil.rmtree(folder.root)
    with pytest.raises(InputError, match="own: no such folder; it is the root of a data set"):
        folder.state()


def test_own_folder_in_voc_layout_is_compared_too(voc_folder, tmp_path):
    root = tmp_path / "voc"
    shutil.copytree(voc_folder, root)
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(OLD_NS, OLD_NS))
    folder = Folder("voc2012", root, {"train": {"set": "trainaug"}, "val": {"set": "val"}}, tmp_path)
    assert folder.state().state == "unchanged"
    name = "SegmentationClassAug/aug_000001.png"
    os.utime(root / "VOCdevkit/VOC2012" / name, ns=(OLD_NS, OLD_NS + 1))
    assert folder.state().state == "touched"
    mask = Image.open(root / "VOCdevkit/VOC2012" / name)
    mask.putpixel((0, 0), 20)
    mask.save(root / "VOCdevkit/VOC2012" / name)
    assert folder.state().changed == (name,)


def test_planning_imports_neither_numpy_nor_pillow(run_python):
    code = "import sys, pipeline_src.data.folder_state; print({'numpy', 'PIL', 'torch'} & set(sys.modules))"
    assert run_python(code).strip() == "set()"
