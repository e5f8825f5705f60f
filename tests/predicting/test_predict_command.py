"""`predict RUN FOLDER` writes what the run's evaluation finds, and goes on where one is no image."""

import contextlib
import io
import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pipeline_src.cli.main import main
from pipeline_src.errors import InputError, run_command
from pipeline_src.evaluation.palette import voc_palette
from pipeline_src.planning.trained_run import snakemake_arguments
from pipeline_src.predicting.images import images_below, stems_of
from tests.predicting.finished_run import OVERLAY, FinishedRun

LINE = ["--scale", "smoke", "--configfile", OVERLAY]


def predict(run, folder, *more):
    return main(["predict", run.name, str(folder), *LINE, *more])


def test_what_is_written_is_what_the_evaluation_finds(run):
    assert predict(run, run.data / "val") == 0
    out = run.root / f"results/smoke/predictions/{run.name}"
    index = json.loads((out / "predictions.json").read_text())
    assert [entry["image"] for entry in index["images"]] == ["0.png", "1.png", "2.png"]
    for entry in index["images"]:
        assert Image.open(out / entry["overlay"]).format == "PNG"
    kept = json.loads((run.root / run.evaluate()["overlays"] / "index.json").read_text())["images"]
    assert len(kept) == 3
    if run.task == "segmentation":
        compare_masks(run, out, kept)
    else:
        compare_objects(out, kept, outlined=run.task == "instances")


def compare_masks(run, out, kept):
    for entry in kept:
        mask = Image.open(out / "masks" / f"{entry['id']}.png")
        truth = Image.open(run.root / run.evaluation.outputs["overlays"] / entry["prediction"])
        assert mask.mode == "P" and np.array_equal(np.asarray(mask), np.asarray(truth))
        assert mask.getpalette() == voc_palette().ravel().tolist()
    assert len(np.unique(np.asarray(mask))) > 1, "a network that sees nothing would compare nothing"


def compare_objects(out, kept, outlined):
    with contextlib.redirect_stdout(io.StringIO()):
        images = COCO(str(out / "images.json"))
        found = images.loadRes(str(out / "detections.json"))
    numbers = {
        image["file_name"].removesuffix(".png"): image["id"] for image in images.loadImgs(images.getImgIds())
    }
    for entry in kept:
        objects = found.loadAnns(found.getAnnIds(imgIds=[numbers[entry["id"]]]))
        assert len(objects) == len(entry["detections"]) > 0
        for one, there in zip(objects, entry["detections"], strict=True):
            assert (one["score"], one["category_id"]) == (there["score"], there["label"])
            if outlined:
                assert one["segmentation"] == {"size": entry["size"], "counts": there["outline"]}
            else:
                assert one["bbox"] == there["bbox"]
    assert images.loadCats([1, 2]) == [{"id": 1, "name": "cup"}, {"id": 2, "name": "pen"}]


def test_files_that_are_no_images_are_named_and_the_rest_is_predicted(segmentor, capsys):
    folder = segmentor.root / "mine"
    shutil.copytree(segmentor.data / "val", folder / "below")
    (folder / "broken.jpg").write_bytes(b"no image")
    whole = (folder / "below/0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 1)).save(folder / "below/small.png")
    (folder / "notes.txt").write_text("not asked for")
    out = folder / "found"
    for _ in range(2):  # what the first time wrote is no image of the second
        assert predict(segmentor, folder, "--out", str(out)) == 1
        said = capsys.readouterr()
        assert "4 of 6 images are predicted" in said.out
    lines = said.err.splitlines()
    assert f"{folder}/broken.jpg: cannot be decoded as an image" in said.err
    assert f"{folder}/cut.png: cannot be decoded as an image" in said.err
    assert all(line.startswith("error: ") for line in lines)
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert [path for path in written if path.startswith("masks")] == [
        f"masks/below/{name}.png" for name in ("0", "1", "2", "small")
    ]
    assert not [path for path in written if "/." in f"/{path}"], "a temporary file is left"


def test_a_run_that_is_not_trained_is_one_line_with_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = FinishedRun("segmentation", tmp_path)
    monkeypatch.setattr(sys, "argv", ["pipeline_src", "predict", run.name, str(run.data / "val"), *LINE])
    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "is not trained at scale smoke" in line
    record = f"results/smoke/runs/{run.name}/train.json"
    command = f"snakemake --cores all {record} --configfile my.yaml --config scale=smoke"
    assert line.rstrip().endswith(command)
    with pytest.raises(InputError, match="no run 'nobody'"):
        main(["predict", "nobody", str(run.data / "val"), *LINE])
    with pytest.raises(InputError, match="predictions need one of their own"):
        predict(run, run.data, "--out", f"{run.data}/")


def test_arguments_for_snakemake():
    assert snakemake_arguments("lite", ["a.yaml"], ["x=1"]) == [
        "--configfile", "a.yaml", "--config", "x=1", "scale=lite"
    ]  # fmt: skip


def test_images_below_a_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        images_below(tmp_path / "none")
    with pytest.raises(InputError, match="holds no image"):
        images_below(tmp_path)
    for name in ("b/one.JPG", "b/one.png", "a.tiff", ".hidden.png", ".git/x.png", "out/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = images_below(tmp_path, but=tmp_path / "out")
    assert names == ["a.tiff", "b/one.JPG", "b/one.png"]
    assert [stems_of(names)(name) for name in names] == ["a", "b/one.JPG", "b/one.png"]
