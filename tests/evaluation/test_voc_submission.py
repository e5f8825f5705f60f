"""The VOC2012 server's archive: names, sizes, ids, and bytes that depend on the predictions alone."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data.label_tables import CITYSCAPES_CLASSES
from pipeline_src.errors import InputError
from pipeline_src.evaluation.cityscapes_submission import read_test_images, write_label_ids
from pipeline_src.evaluation.voc_submission import read_test_list, write_submission
from pipeline_src.steps.export_submission import export_submission
from tests.evaluation.tiny_run import IDS, MODEL, SIZES, make_job, predicted_by_hand

FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"


def submission_job(tmp_path):
    return make_job(
        "export_submission",
        {"model": MODEL, "threads": 1, "deterministic": True, "root": str(tmp_path / "voc")},
        {"train": "train.json"},
        {"sidecar": "submission.json", "archive": "submission.tar.gz"},
    )


def read_archive(path):
    with tarfile.open(path, "r:gz") as archive:
        return {
            member.name: np.asarray(Image.open(io.BytesIO(archive.extractfile(member).read())))
            for member in archive.getmembers()
        }


def test_the_archive_holds_one_index_image_of_the_original_size_per_listed_image(run, tmp_path):
    export_submission(submission_job(tmp_path), "cpu")
    found = read_archive(tmp_path / "submission.tar.gz")
    assert list(found) == [f"{FOLDER}/{image_id}.png" for image_id in IDS]
    images = tmp_path / "voc" / "VOCdevkit" / "VOC2012" / "JPEGImages"
    for image_id, (width, height) in zip(IDS, SIZES, strict=True):
        ids = found[f"{FOLDER}/{image_id}.png"]
        assert ids.shape == (height, width)
        assert (ids == predicted_by_hand(run, images / f"{image_id}.jpg")).all()
    assert json.loads((tmp_path / "submission.json").read_text())["images"] == 3


def test_the_same_predictions_make_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    predictions = [(name, rng.integers(0, 21, (7, 9))) for name in "ab"]
    for name in ("first", "second"):
        assert write_submission(predictions, tmp_path / name) == 2
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    with tarfile.open(tmp_path / "first") as archive:
        assert all(member.isfile() and member.mtime == 0 for member in archive.getmembers())


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "lists no image"), ("a\na\n", "lists a twice"), ("a\nb\n", r"b\.jpg: no such file")],
)
def test_an_unusable_list_is_named(tmp_path, text, message):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "JPEGImages" / "a.jpg").write_bytes(b"")
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "test.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_test_list(tmp_path)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match=r"test\.txt: no such file; it lists the images to predict"):
        read_test_list(tmp_path)


def test_cityscapes_takes_label_ids_of_every_test_image(run, tmp_path):
    folder = tmp_path / "cityscapes" / "leftImg8bit" / "test"
    names = ["berlin_000000_000019", "berlin_000001_000019", "bonn_000000_000019"]
    for name, (width, height) in zip(names, SIZES, strict=True):
        path = folder / name.split("_")[0] / f"{name}_leftImg8bit.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    job = submission_job(tmp_path)
    job.params.update(server="cityscapes", root=str(tmp_path))
    export_submission(job, "cpu")
    with zipfile.ZipFile(tmp_path / "submission.tar.gz") as archive:
        assert archive.namelist() == [f"{name}_pred_labelIds.png" for name in names]
        for name in names:
            ids = np.asarray(Image.open(archive.open(f"{name}_pred_labelIds.png")))
            predicted = predicted_by_hand(run, folder / name.split("_")[0] / f"{name}_leftImg8bit.png")
            assert (ids == np.array([one.label_id for one in CITYSCAPES_CLASSES])[predicted]).all()
    with pytest.raises(InputError, match=r"leftImg8bit/val: no such folder; it should hold one folder for"):
        read_test_images(tmp_path, "val")
    with pytest.raises(InputError, match=r"a: predicts class 19; Cityscapes has 0\.\.18"):
        write_label_ids([("a", np.full((2, 2), 19))], tmp_path / "bad.zip")
    assert not (tmp_path / "bad.zip").exists()
